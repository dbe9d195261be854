//! A plain relay client.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(crate) challenge: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async("ws://127.0.0.1/", stream).await.unwrap();
        let mut client = Self { socket, challenge: String::new() };
        let greeting = client.next().await;
        assert_eq!(greeting[0], "AUTH");
        client.challenge = greeting[1].as_str().unwrap().to_owned();
        client
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends what may be refused before it has arrived whole.
    pub(crate) async fn send_message(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    /// Hands a message to the socket without waiting until it is on its way.
    pub(crate) async fn feed(&mut self, message: Value) {
        self.socket.feed(Message::text(message.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("an answer in time");
        message.expect("a connection that lives").expect("a whole message")
    }

    /// The next frame of the relay.
    pub(crate) async fn next(&mut self) -> Vec<Value> {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no answer: {other:?}"),
            }
        }
    }

    /// The next frame, after everything fed is on its way.
    pub(crate) async fn answer(&mut self) -> Vec<Value> {
        self.socket.flush().await.unwrap();
        self.next().await
    }

    /// Proves that the connection lives and that nothing is left unread.
    pub(crate) async fn fence(&mut self) {
        self.send(json!(["COUNT", "fence", {"ids": []}])).await;
        let frame = self.next().await;
        assert_eq!((&frame[0], &frame[1]), (&json!("COUNT"), &json!("fence")), "{frame:?}");
    }

    /// Reads to the close frame and returns its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                let frame = frame.expect("a close frame with a code");
                assert!(!frame.reason.is_empty());
                return frame.code.into();
            }
        }
    }

    /// Waits for so many pings.
    pub(crate) async fn pings(&mut self, count: usize) -> usize {
        let mut seen = 0;
        while seen < count {
            seen += usize::from(matches!(self.message().await, Message::Ping(_)));
        }
        seen
    }
}
