//! The one HTTP exchange that evidence needs: ask once, read the beginning of whatever comes back.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Most that is read of an answer.
pub(crate) const MOST: usize = 1024;

/// Sends `GET path` and reads into `answer` until it ends, is long enough, or `enough` says so. Whoever calls limits the
/// time; what came until then is in `answer`.
pub(crate) async fn get(
    stream: &mut TcpStream,
    (address, path): (SocketAddr, &str),
    answer: &mut Vec<u8>,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: portolan\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    while answer.len() < MOST && !enough(answer) {
        let mut limited = (&mut *stream).take((MOST - answer.len()) as u64);
        if limited.read_buf(answer).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Status code and body of an answer, if it is HTTP.
pub(crate) fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.lines().next()?.split(' ');
    words.next()?.strip_prefix("HTTP/")?;
    let code = words.next()?.parse().ok()?;
    Some((code, body.trim().to_owned()))
}

/// The first line of an answer as text that can be printed.
pub(crate) fn first_line(answer: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .take(LONGEST)
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '.' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let rows = [
            (&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nok\n"[..], Some((200, "ok")), "HTTP/1.1 200 OK"),
            (b"HTTP/1.0 503\r\n\r\n", Some((503, "")), "HTTP/1.0 503"),
            (b"\x15\x03\x01\x00\x02\x02\x16", None, "......."),
            (b"SSH-2.0-OpenSSH_9.2\r\n", None, "SSH-2.0-OpenSSH_9.2"),
        ];
        for (answer, parsed, line) in rows {
            assert_eq!(parse(answer), parsed.map(|(code, body)| (code, body.to_owned())));
            assert_eq!(first_line(answer), line);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
            prop_assert!(first_line(&bytes).chars().all(|c| !c.is_control()));
        }
    }
}
