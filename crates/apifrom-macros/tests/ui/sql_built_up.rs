use apifrom::{Database, params};

fn main() {
    let db = Database::open("sqlite://:memory:").unwrap();
    let name = String::from("ann");
    db.query(format!("SELECT * FROM users WHERE name = '{name}'"), params![]);
}
