"""A small application: notes, kept in an SQLite file or another database."""
