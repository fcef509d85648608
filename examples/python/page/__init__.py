"""A page with a form and a script, both of which change something: protected from other sites."""
