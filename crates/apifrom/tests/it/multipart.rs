//! Forms with files on the Rust face.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use apifrom::testing::TestClient;
use apifrom::{Api, FileContent, Multipart, Problem, api, endpoints};

static CALLS: AtomicUsize = AtomicUsize::new(0);

#[api(route = "/", method = "POST", max_body_size = 4_000_000)]
fn keep(mut form: Multipart) -> Result<String, Problem> {
    CALLS.fetch_add(1, Ordering::SeqCst);
    let title = form.text("title").unwrap_or("none").to_owned();
    let Some(photo) = form.file("photo") else {
        return Err(Problem::new(422).detail("no photo"));
    };
    let (name, size) = (photo.file_name.clone(), photo.size);
    let first = photo.read().map_err(|_| Problem::new(500))?;
    let place = match &mut photo.content {
        FileContent::Memory(_) => "memory",
        FileContent::Disk(file) => {
            // It was read to its end.
            assert_eq!(file.read(&mut [0]).unwrap(), 0);
            "disk"
        }
        _ => "elsewhere",
    };
    assert_eq!(first.len() as u64, size);
    Ok(format!("{title} {name} {size} {place}"))
}

fn client() -> TestClient {
    TestClient::new(Api::new().endpoints(endpoints![keep]).build().unwrap())
}

fn form(parts: &[(&str, &str)]) -> String {
    let part = |(disposition, content): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    };
    parts
        .iter()
        .map(part)
        .chain(["--b--\r\n".to_owned()])
        .collect()
}

fn sent(body: String) -> (u16, String) {
    let post = client()
        .post("/")
        .header("content-type", "multipart/form-data; boundary=\"b\"");
    let answer = post.body(body).send().unwrap();
    (answer.status().as_u16(), answer.text())
}

#[test]
fn text_and_files_arrive_in_memory_or_beside_it() {
    let photo = r#"name="photo"; filename="a/cat.png""#;
    let small = form(&[(r#"name="title""#, "A cat"), (photo, "abc")]);
    assert_eq!(sent(small), (200, "A cat cat.png 3 memory".into()));
    let large = form(&[(photo, &"x".repeat(3_000_000))]);
    assert_eq!(sent(large), (200, "none cat.png 3000000 disk".into()));
}

#[test]
fn two_of_a_name_are_none_and_the_handler_decides() {
    let photo = (r#"name="photo"; filename="cat.png""#, "abc");
    assert_eq!(sent(form(&[photo, photo])).0, 422);
    assert_eq!(sent(form(&[])).0, 422);
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_is_called() {
    let before = CALLS.load(Ordering::SeqCst);
    let photo = r#"name="photo"; filename="cat.png""#;
    let whole = form(&[(photo, "abc")]);
    assert_eq!(sent(whole.replace("--b--", "")).0, 400);
    assert_eq!(sent(form(&[("filename=\"cat.png\"", "abc")])).0, 400);
    assert_eq!(sent(form(&[(photo, &"x".repeat(4_000_001))])).0, 413);
    let json = client().post("/").json(&["x"]).send().unwrap();
    assert_eq!(json.status(), 415);
    assert_eq!(CALLS.load(Ordering::SeqCst), before);
}
