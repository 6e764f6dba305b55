//! Echo over plain TCP and UDP.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::{
    Server,
    behaviour::{Behaviour, Speech},
};

/// What nobody understands: neither HTTP nor a line of text.
const GARBAGE: &[u8] = &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28, 0x0a];

/// How long a client may take to see it.
const AFTER_GARBAGE: Duration = Duration::from_secs(1);

/// Accepts until the server is closed.
pub(super) async fn accept(listener: TcpListener, server: Server) {
    while let Some(accepted) = server.closed.run_until_cancelled(listener.accept()).await {
        let Ok((stream, client)) = accepted else { continue };
        let server = server.clone();
        server.connections.clone().spawn(async move {
            match server.behaviour.speech {
                Speech::Silent => hear(stream, &server).await,
                Speech::Garbage => babble(stream).await,
                Speech::Normal | Speech::UdpOnly => {
                    let greeting = format!("{} {client}\n", server.identity.pod);
                    let dialog = echo(stream, greeting, &server.behaviour);
                    // A client that breaks its connection is its own business.
                    drop(server.closed.run_until_cancelled(dialog).await);
                }
            }
        });
    }
}

async fn echo(mut stream: TcpStream, greeting: String, behaviour: &Behaviour) -> io::Result<()> {
    behaviour.hesitate().await;
    stream.write_all(greeting.as_bytes()).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// Listens to the client and says nothing, until it goes or the server is closed.
pub(super) async fn hear(mut stream: TcpStream, server: &Server) {
    let mut nowhere = tokio::io::sink();
    let listening = tokio::io::copy(&mut stream, &mut nowhere);
    drop(server.closed.run_until_cancelled(listening).await);
}

/// Says something that is not the protocol, and is done when the client has seen it.
pub(super) async fn babble(mut stream: TcpStream) {
    drop(stream.write_all(GARBAGE).await);
    drop(stream.shutdown().await);
    // What is unread when the connection is closed would make it a reset, which is another fault.
    let mut nowhere = tokio::io::sink();
    drop(tokio::time::timeout(AFTER_GARBAGE, tokio::io::copy(&mut stream, &mut nowhere)).await);
}

/// Answers datagrams until the server is closed.
pub(super) async fn answer(socket: UdpSocket, server: Server) {
    let Server { behaviour, identity, .. } = &server;
    let mut buffer = vec![0; 64 << 10];
    while let Some(received) = server.closed.run_until_cancelled(socket.recv_from(&mut buffer)).await {
        // Errors here are echoes of answers that nobody took.
        let Ok((n, client)) = received else { continue };
        let mut answer = match behaviour.speech {
            Speech::Silent => continue,
            Speech::Garbage => GARBAGE.to_vec(),
            Speech::Normal | Speech::UdpOnly => {
                [format!("{} {client}\n", identity.pod).as_bytes(), &buffer[..n]].concat()
            }
        };
        answer.truncate(65_000);
        behaviour.hesitate().await;
        drop(socket.send_to(&answer, client).await);
    }
}
