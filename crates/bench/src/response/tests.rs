use super::*;

const LIST: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 5\r\n\r\nhello";
const DELETED: &[u8] = b"HTTP/1.1 204 No Content\r\nx-openstack-request-id: req-1\r\n\r\n";

fn feed(reader: &mut ResponseReader, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let spare = reader.spare();
        let count = spare.len().min(bytes.len());
        spare[..count].copy_from_slice(&bytes[..count]);
        reader.filled(count);
        bytes = &bytes[count..];
    }
}

#[test]
fn an_answer_split_at_any_byte_is_read_whole() {
    for cut in 0..LIST.len() {
        let mut reader = ResponseReader::new();
        feed(&mut reader, &LIST[..cut]);
        assert_eq!(reader.advance(), Ok(None), "cut at {cut}");
        feed(&mut reader, &LIST[cut..]);
        let frame = reader.advance().unwrap().unwrap();
        assert_eq!(frame.status, 200);
        assert_eq!(reader.body(&frame), b"hello");
        assert_eq!(reader.leftover(), 0);
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_read_whole() {
    let mut reader = ResponseReader::new();
    for byte in LIST {
        assert_eq!(reader.advance(), Ok(None));
        feed(&mut reader, &[*byte]);
    }
    assert!(reader.advance().unwrap().is_some());
}

#[test]
fn bytes_of_the_next_answer_stay_for_it() {
    let mut reader = ResponseReader::new();
    feed(&mut reader, &[DELETED, LIST, &LIST[..30]].concat());

    let first = reader.advance().unwrap().unwrap();
    assert_eq!((first.status, reader.body(&first)), (204, &b""[..]));
    let second = reader.advance().unwrap().unwrap();
    assert_eq!((second.status, reader.body(&second)), (200, &b"hello"[..]));
    assert_eq!(reader.advance(), Ok(None));
    assert_eq!(reader.leftover(), 30);

    feed(&mut reader, &LIST[30..]);
    let third = reader.advance().unwrap().unwrap();
    assert_eq!(reader.body(&third), b"hello");
}

#[test]
fn a_body_larger_than_the_buffer_makes_it_grow_and_the_next_answer_uses_it_again() {
    let body = vec![b'x'; 10 * FIRST_CAPACITY];
    let mut large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    large.extend_from_slice(&body);
    let mut reader = ResponseReader::new();

    feed(&mut reader, &[DELETED, &large, DELETED].concat());
    assert_eq!(reader.advance().unwrap().unwrap().status, 204);
    let frame = reader.advance().unwrap().unwrap();
    assert_eq!(reader.body(&frame), body);
    assert_eq!(reader.advance().unwrap().unwrap().status, 204);

    let grown = reader.buffer.len();
    feed(&mut reader, LIST);
    assert!(reader.advance().unwrap().is_some());
    assert_eq!(reader.buffer.len(), grown);
}

#[test]
fn what_is_not_an_answer_is_refused() {
    let refused = |bytes: &[u8]| {
        let mut reader = ResponseReader::new();
        feed(&mut reader, bytes);
        reader.advance().unwrap_err()
    };
    assert_eq!(refused(b"SSH-2.0-OpenSSH\r\n"), Malformed::StatusLine);
    assert_eq!(refused(b"HTTP/1.1 2x0 OK\r\n"), Malformed::StatusLine);
    assert_eq!(refused(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Malformed::ContentLength);
    assert_eq!(refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Malformed::NoLength);
    let endless = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; LONGEST_HEAD]].concat();
    assert_eq!(refused(&endless), Malformed::HeadTooLong);
}
