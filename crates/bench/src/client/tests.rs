use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::request::request;

/// Answers each request with the next of `answers`, each given as the pieces in which it is
/// written, then closes the connection.
fn server(answers: Vec<Vec<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        for answer in answers {
            read_request(&mut stream);
            for piece in answer {
                stream.write_all(&piece).unwrap();
                stream.flush().unwrap();
                thread::yield_now();
            }
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert!(seen.starts_with(b"GET /v2.0/networks HTTP/1.1\r\nHost: example\r\n"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn get() -> Vec<u8> {
    request("GET", "/v2.0/networks", "example", None, None)
}

#[test]
fn one_connection_carries_many_requests_whose_answers_come_in_pieces() {
    let body = vec![b'b'; 100_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    let large = vec![head, body[..1].to_vec(), body[1..70_000].to_vec(), body[70_000..].to_vec()];
    let small = vec![b"HTTP/1.1 204 No Co".to_vec(), b"ntent\r\n\r\n".to_vec()];
    let address = server(vec![large, small]);

    runtime().block_on(async {
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.exchange(&get()).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, &body[..]));
        let answer = connection.exchange(&get()).await.unwrap();
        assert_eq!((answer.status, answer.body), (204, &b""[..]));
    });
}

#[test]
fn a_server_that_closes_in_the_middle_of_an_answer_is_an_error() {
    let address = server(vec![vec![b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()]]);

    runtime().block_on(async {
        let mut connection = Connection::open(address).await.unwrap();
        assert!(matches!(connection.exchange(&get()).await, Err(Broken::Closed)));
    });
}

#[test]
fn bytes_beyond_the_answer_are_an_error() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200".to_vec();
    let address = server(vec![vec![answer]]);

    runtime().block_on(async {
        let mut connection = Connection::open(address).await.unwrap();
        assert!(matches!(connection.exchange(&get()).await, Err(Broken::Unasked(12))));
    });
}
