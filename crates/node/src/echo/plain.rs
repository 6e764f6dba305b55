//! Echo over plain TCP and UDP.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::Server;

/// Accepts until the server is closed.
pub(super) async fn accept(listener: TcpListener, server: Server) {
    while let Some(accepted) = server.closed.run_until_cancelled(listener.accept()).await {
        let Ok((stream, client)) = accepted else { continue };
        let greeting = format!("{} {client}\n", server.identity.pod);
        let closed = server.closed.clone();
        server.connections.spawn(async move {
            // A client that breaks its connection is its own business.
            drop(closed.run_until_cancelled(echo(stream, greeting)).await);
        });
    }
}

async fn echo(mut stream: TcpStream, greeting: String) -> io::Result<()> {
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

/// Answers datagrams until the server is closed.
pub(super) async fn answer(socket: UdpSocket, server: Server) {
    let mut buffer = vec![0; 64 << 10];
    while let Some(received) = server.closed.run_until_cancelled(socket.recv_from(&mut buffer)).await {
        // Errors here are echoes of answers that nobody took.
        let Ok((n, client)) = received else { continue };
        let mut answer = format!("{} {client}\n", server.identity.pod).into_bytes();
        answer.extend_from_slice(&buffer[..n]);
        answer.truncate(65_000);
        drop(socket.send_to(&answer, client).await);
    }
}
