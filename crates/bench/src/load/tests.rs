use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::journey::Read as ReadJourney;
use crate::request::request;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BROKEN: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno";

/// More than clients need that end with their first error.
const UNTIL_ALL_FAIL: Duration = Duration::from_secs(60);

/// Counts the requests it gets and answers the first `good` of them with 200, all others with 500.
fn server(good: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let count = Arc::clone(&count);
            thread::spawn(move || serve(stream.unwrap(), &count, good));
        }
    });
    (address, served)
}

fn serve(mut stream: TcpStream, served: &AtomicUsize, good: usize) {
    stream.set_nodelay(true).unwrap();
    let mut seen = vec![0; get().len()];
    while stream.read_exact(&mut seen).is_ok() {
        let number = served.fetch_add(1, Ordering::SeqCst);
        // The client may have gone at its deadline.
        let _ = stream.write_all(if number < good { OK } else { BROKEN });
    }
}

fn get() -> Vec<u8> {
    request("GET", "/", "example", None, None)
}

fn load(address: SocketAddr, body_length: usize, duration: Duration) -> (Outcome, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let requests = std::rc::Rc::new(vec![get()]);
        let mut clients = Vec::new();
        for _ in 0..4 {
            let connection = Connection::open(address).await.unwrap();
            let journey = ReadJourney { requests: requests.clone(), next: 0, body_length };
            clients.push(Client { connection, journey });
        }
        let (outcome, clients) = run(clients, duration).await.unwrap();
        (outcome, clients.len())
    })
}

#[test]
fn every_request_that_the_server_saw_has_a_latency_and_the_clients_come_back() {
    let (address, served) = server(usize::MAX);
    let duration = Duration::from_millis(100);
    let (outcome, clients) = load(address, 2, duration);
    assert_eq!((outcome.errors, clients), (0, 4));
    assert!(outcome.elapsed >= duration);
    assert_eq!(outcome.latencies.summary().count, served.load(Ordering::SeqCst));
}

#[test]
fn an_answer_with_another_status_is_an_error_that_says_what_came() {
    let (address, _) = server(10);
    let (outcome, _) = load(address, 2, UNTIL_ALL_FAIL);
    assert_eq!(outcome.errors, 4);
    assert_eq!(outcome.latencies.summary().count, 10);
    assert_eq!(outcome.first_error.unwrap().to_string(), "answered 500 and not 200: no");
}

#[test]
fn an_answer_of_another_length_than_the_verified_one_is_an_error() {
    let (address, _) = server(usize::MAX);
    let (outcome, _) = load(address, 3, UNTIL_ALL_FAIL);
    assert_eq!(outcome.errors, 4);
    assert_eq!(outcome.latencies.summary().count, 0);
}
