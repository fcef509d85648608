//! The guide's block on SQL.

mod start;

use apifrom::database::{Database, Row};
use apifrom::{Api, DatabaseError, State, api, endpoints, params};

#[api(route = "/users/{user_id}", method = "GET")]
fn get_user(user_id: i64, db: State<Database>) -> Result<Option<Row>, DatabaseError> {
    db.query_one("SELECT * FROM users WHERE id = ?", params![user_id])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::open("sqlite:///app.db")?;
    db.execute(
        "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT)",
        (),
    )?;
    Api::new()
        .state(db)
        .endpoints(endpoints![get_user])
        .run(&start::address())?;
    Ok(())
}
