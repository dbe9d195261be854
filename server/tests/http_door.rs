//! The door over real sockets, with stub rooms behind it: CORS on everything, the handshake, pages, discovery, limits
//! and closing in good order. What is sent is written out byte by byte, so that nothing a client library would tidy up
//! goes unseen.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use grasp_server::http::{
    About, Body, Client, Door, GitCall, GitDoor, GitResource, Limits, Overview, Permit, RelayDoor,
    RelayStream, Repositories, RepositoryView, RequestBody, Services, SyncView, whole,
};
use grasp_server::nip34::Coordinate;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const NPUB: &str = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";
const OWNER: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const BOUND: Duration = Duration::from_secs(20);

/// Hosts the one repository `hosted`; its relay says back what it hears, after the client's address.
#[derive(Default)]
struct Rooms {
    /// Pushes wait for this.
    finish: Notify,
    /// Told when a push has begun.
    begun: Notify,
    /// Addresses that the relay does not want.
    unwelcome: Option<IpAddr>,
    /// Sync and metrics are on.
    watched: bool,
}

impl RelayDoor for Rooms {
    fn nip11(&self) -> Bytes {
        Bytes::from_static(br#"{"supported_grasps":["GRASP-01"]}"#)
    }

    fn admit(&self, address: IpAddr) -> Option<Permit> {
        (Some(address) != self.unwelcome).then(|| Box::new(()) as Permit)
    }

    fn serve(self: Arc<Self>, mut stream: RelayStream, client: Client, _: Permit) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            stream.write_all(format!("{}\n", client.address).as_bytes()).await.unwrap();
            let mut heard = [0; 64];
            loop {
                tokio::select! {
                    read = stream.read(&mut heard) => match read {
                        Ok(read) if read > 0 => stream.write_all(&heard[..read]).await.unwrap(),
                        _ => return,
                    },
                    () = client.stopping.cancelled() => {
                        stream.write_all(b"bye").await.unwrap();
                        return;
                    }
                }
            }
        })
    }
}

#[async_trait::async_trait]
impl GitDoor for Rooms {
    async fn serve(
        &self,
        call: GitCall,
        request: http::Request<RequestBody>,
    ) -> Option<http::Response<Body>> {
        if call.repository.identifier.as_str() != "hosted" {
            return None;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request.into_body().collect().await.ok()?.to_bytes();
        if call.resource == GitResource::ReceivePack {
            self.begun.notify_one();
            self.finish.notified().await;
        }
        let text = format!("{:?} {query} {}", call.resource, String::from_utf8_lossy(&body));
        Some(http::Response::new(whole(text)))
    }
}

#[async_trait::async_trait]
impl Repositories for Rooms {
    async fn describe(&self, repository: &Coordinate) -> Option<RepositoryView> {
        (repository.identifier.as_str() == "hosted").then(|| RepositoryView {
            name: "A <hosted> one".to_owned(),
            clone_url: format!("http://127.0.0.1{}", repository.url_path()),
            maintainers: vec![repository.npub()],
            waiting: true,
            ..RepositoryView::default()
        })
    }
}

impl Overview for Rooms {
    fn sync(&self) -> Option<Arc<SyncView>> {
        self.watched.then(|| Arc::new(SyncView { now: 1, queued_peers: 3, ..SyncView::default() }))
    }

    fn metrics(&self) -> Option<Bytes> {
        self.watched.then(|| Bytes::from_static(b"figure 1\n"))
    }
}

async fn open_with(rooms: Arc<Rooms>, limits: Limits, proxies: &[&str]) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let about = About {
        domain: "git.example.org".parse().unwrap(),
        name: "Test".to_owned(),
        description: "For tests".to_owned(),
        owner: Coordinate::from_path(NPUB, "x.git").unwrap().owner,
        contributions: true,
    };
    let trusted_proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    let services = Services {
        relay: rooms.clone(),
        git: rooms.clone(),
        repositories: rooms.clone(),
        overview: rooms,
        about,
        trusted_proxies,
    };
    Door::open(listener, services, limits).unwrap()
}

async fn open() -> Door {
    open_with(Arc::default(), Limits::default(), &[]).await
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn has_cors(&self) -> bool {
        let says = |name: &str, part: &str| self.header(name).is_some_and(|value| value.contains(part));
        self.header("access-control-allow-origin") == Some("*")
            && says("access-control-allow-methods", "GET, POST")
            && [
                "Content-Type",
                "Git-Protocol",
                "Authorization",
                "Accept",
                "Content-Encoding",
                "X-Requested-With",
            ]
            .iter()
            .all(|wanted| says("access-control-allow-headers", wanted))
            && self.head.to_ascii_lowercase().matches("access-control-allow-origin").count() == 1
    }
}

/// Reads one answer from a connection; `bodyless` for answers to HEAD.
async fn read_answer(stream: &mut TcpStream, bodyless: bool) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        let read =
            tokio::time::timeout(BOUND, stream.read(&mut byte)).await.expect("an answer in time").unwrap();
        assert_eq!(read, 1, "the connection ended inside a head: {:?}", String::from_utf8_lossy(&head));
        head.extend_from_slice(&byte);
    }
    let mut answer = Answer { head: String::from_utf8(head).unwrap(), body: String::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if bodyless { 0 } else { length }];
    stream.read_exact(&mut body).await.unwrap();
    answer.body = String::from_utf8(body).unwrap();
    answer
}

async fn send(address: SocketAddr, bytes: &str) -> (TcpStream, Answer) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream, bytes.starts_with("HEAD")).await;
    (stream, answer)
}

async fn ask(door: &Door, request: &str, headers: &str) -> Answer {
    send(door.address(), &format!("{request} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await.1
}

#[tokio::test]
async fn every_answer_carries_cors() {
    let door = open().await;
    let cases = [
        ("GET /", "", 200),
        ("GET /", "Accept: application/nostr+json\r\n", 200),
        ("GET /", UPGRADE, 101),
        ("GET /", "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 400),
        ("GET /", "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n", 426),
        ("GET /NPUB/hosted.git/info/refs?service=git-upload-pack", "", 200),
        ("GET /NPUB/other.git/info/refs?service=git-upload-pack", "", 404),
        ("POST /NPUB/other.git/git-receive-pack", "Content-Length: 4\r\n", 404),
        ("GET /NPUB/hosted.git", "", 200),
        ("GET /NPUB/other.git", "Accept: text/html\r\n", 404),
        ("GET /NPUB/hosted.git/git-upload-pack", "", 405),
        ("PUT /", "", 405),
        ("DELETE /healthz", "", 405),
        ("BREW /icon.svg", "", 405),
        ("GET /healthz", "", 200),
        ("GET /sync", "", 200),
        ("GET /sync", "Accept: application/json\r\n", 200),
        ("POST /sync", "Content-Length: 0\r\n", 405),
        ("GET /metrics", "", 404),
        ("GET /icon.svg", "", 200),
        ("GET /favicon.ico", "", 200),
        ("GET /.well-known/nostr.json", "", 200),
        ("GET /nowhere", "", 404),
        ("GET /%2e%2e/%2e%2e/etc/passwd", "", 404),
        ("OPTIONS /", "", 204),
        ("OPTIONS *", "", 204),
        ("OPTIONS /nowhere/at/all", "", 204),
        ("OPTIONS /NPUB/other.git/git-receive-pack", "Access-Control-Request-Method: POST\r\n", 204),
    ];
    for (request, headers, status) in cases {
        let answer = ask(&door, &request.replace("NPUB", NPUB), headers).await;
        assert_eq!(answer.status(), status, "{request}: {}", answer.head);
        assert!(answer.has_cors(), "{request}: {}", answer.head);
    }
    assert!(door.close(BOUND).await);
}

#[tokio::test]
async fn heads_that_cannot_be_parsed_are_answered_with_cors_too() {
    let door = open().await;
    // Never ends, and not a byte more than what the server reads before it gives up: a rest would reset the connection.
    let mut long = "GET / HTTP/1.1\r\nX: ".to_owned();
    long.push_str(&"x".repeat(64 * 1024 - long.len()));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("rubbish\r\n\r\n", 400),
        ("G\u{1}T / HTTP/1.1\r\n\r\n", 400),
        (&long, 431),
        (&many, 431),
    ] {
        let (_, answer) = send(door.address(), bytes).await;
        assert_eq!(answer.status(), status, "{}", answer.head);
        assert!(answer.has_cors(), "{}", answer.head);
    }
}

#[tokio::test]
async fn methods_that_do_not_fit_are_told_which_do() {
    let door = open().await;
    assert_eq!(ask(&door, "POST /", "").await.header("allow"), Some("GET, HEAD, OPTIONS"));
    let upload_pack = format!("GET /{NPUB}/hosted.git/git-upload-pack");
    assert_eq!(ask(&door, &upload_pack, "").await.header("allow"), Some("POST, OPTIONS"));
}

#[tokio::test]
async fn the_root_is_negotiated() {
    let door = open().await;
    for accept in ["application/nostr+json", "text/plain, application/nostr+json;q=0.8, */*;q=0.1"] {
        let answer = ask(&door, "GET /", &format!("Accept: {accept}\r\n")).await;
        assert_eq!(answer.header("content-type"), Some("application/nostr+json"));
        assert_eq!(answer.body, r#"{"supported_grasps":["GRASP-01"]}"#);
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("Accept")));
    }
    for headers in ["", "Accept: */*\r\n", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"] {
        let answer = ask(&door, "GET /", headers).await;
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(
            answer.header("content-security-policy").is_some_and(|csp| csp.contains("default-src 'none'"))
        );
        assert!(answer.body.contains("wss://git.example.org") && answer.body.contains("gitworkshop.dev"));
        assert!(answer.body.contains("https://git.example.org/&lt;npub&gt;/&lt;name&gt;.git"));
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let door = open().await;
    for path in ["/", "/healthz", "/icon.svg", "/nowhere", &format!("/{NPUB}/hosted.git/info/refs?x")] {
        let get = ask(&door, &format!("GET {path}"), "").await;
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let (mut stream, head) = send(door.address(), &request).await;
        assert_eq!(head.status(), get.status(), "{path}");
        assert!(head.has_cors());
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        // What follows is the next answer, not a body.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(read_answer(&mut stream, false).await.body, "ok\n");
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let door = open().await;
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    for (path, status) in [("/", 200), ("/nowhere", 404), ("/healthz", 200), ("/", 200)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream, false).await.status(), status);
    }
}

#[tokio::test]
async fn git_requests_reach_the_git_room_with_query_and_body() {
    let door = open().await;
    let refs = ask(&door, &format!("GET /{NPUB}/hosted.git/info/refs?service=git-upload-pack"), "").await;
    assert_eq!(refs.body, "InfoRefs service=git-upload-pack ");
    let post = format!("POST /{NPUB}/hosted.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n");
    let (_, answer) = send(door.address(), &format!("{post}Content-Length: 4\r\n\r\n0000")).await;
    assert_eq!(answer.body, "UploadPack  0000");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\n00\r\n2\r\n00\r\n0\r\n\r\n");
    assert_eq!(send(door.address(), &chunked).await.1.body, "UploadPack  0000");
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_before_the_body_is_asked_for() {
    let door = open().await;
    let head = format!(
        "POST /{NPUB}/hosted.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    let (mut stream, interim) = send(door.address(), &head).await;
    assert_eq!(interim.status(), 100);
    stream.write_all(b"0000").await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "UploadPack  0000"));
}

#[tokio::test]
async fn programs_get_a_line_and_browsers_a_page_when_nothing_is_there() {
    let door = open().await;
    for path in ["/nowhere", &format!("/{NPUB}/other.git"), &format!("/{NPUB}/other.git/info/refs")] {
        let line = ask(&door, &format!("GET {path}"), "Accept: */*\r\n").await;
        assert_eq!((line.status(), line.header("content-type")), (404, Some("text/plain; charset=utf-8")));
        assert!(line.body.starts_with("not found"), "{}", line.body);
        let page = ask(&door, &format!("GET {path}"), "Accept: text/html\r\n").await;
        assert_eq!((page.status(), page.header("content-type")), (404, Some("text/html; charset=utf-8")));
        assert!(page.body.contains("<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn a_repository_has_a_page_that_leads_to_clients() {
    let door = open().await;
    for path in ["hosted.git", "hosted", "hosted.git/"] {
        let page = ask(&door, &format!("GET /{NPUB}/{path}"), "Accept: text/html\r\n").await;
        assert_eq!(page.status(), 200);
        assert!(page.body.contains("A &lt;hosted&gt; one") && page.body.contains("has not arrived yet"));
        assert!(page.body.contains(&format!("https://gitworkshop.dev/{NPUB}/git.example.org/hosted")));
    }
}

#[tokio::test]
async fn sync_is_a_page_or_data_and_says_when_it_is_off() {
    let (off, rooms) = (open().await, Arc::new(Rooms { watched: true, ..Rooms::default() }));
    let on = open_with(rooms, Limits::default(), &[]).await;
    let page = ask(&off, "GET /sync", "Accept: text/html\r\n").await;
    assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("Proactive sync is off") && !page.body.contains("<script"));
    let page = ask(&on, "GET /sync", "").await;
    assert!(page.body.contains("3 more wait until there is room") && page.has_cors());
    assert_eq!((page.header("vary"), page.header("cache-control")), (Some("Accept"), Some("no-store")));
    for (door, enabled) in [(&off, false), (&on, true)] {
        let data = ask(door, "GET /sync", "Accept: application/json\r\n").await;
        let document: serde_json::Value = serde_json::from_str(&data.body).unwrap();
        assert_eq!(
            (data.header("content-type"), &document["enabled"]),
            (Some("application/json"), &enabled.into())
        );
        assert_eq!(document["standing"]["queued_peers"].as_u64(), enabled.then_some(3));
    }
}

#[tokio::test]
async fn metrics_are_there_only_when_they_are_on() {
    let (off, rooms) = (open().await, Arc::new(Rooms { watched: true, ..Rooms::default() }));
    let on = open_with(rooms, Limits::default(), &[]).await;
    assert_eq!(ask(&off, "GET /metrics", "").await.status(), 404);
    let figures = ask(&on, "GET /metrics", "").await;
    let plain = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(
        (figures.status(), figures.header("content-type"), figures.body.as_str()),
        (200, plain, "figure 1\n")
    );
    assert!(figures.has_cors());
}

#[tokio::test]
async fn the_owner_is_named_as_nip_05_has_it() {
    let door = open().await;
    let named = format!(r#"{{"names":{{"_":"{OWNER}"}},"relays":{{"{OWNER}":["wss://git.example.org"]}}}}"#);
    assert_eq!(ask(&door, "GET /.well-known/nostr.json", "").await.body, named);
    assert_eq!(ask(&door, "GET /.well-known/nostr.json?name=_", "").await.body, named);
    assert_eq!(ask(&door, "GET /.well-known/nostr.json?a=b&name=%5F", "").await.body, named);
    let other = ask(&door, "GET /.well-known/nostr.json?name=alice", "").await;
    assert_eq!((other.status(), other.body.as_str()), (200, r#"{"names":{}}"#));
}

async fn relay_client(door: &Door, headers: &str) -> (TcpStream, Answer, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{UPGRADE}{headers}\r\n");
    let (mut stream, answer) = send(door.address(), &request).await;
    let mut line = String::new();
    while answer.status() == 101 && !line.ends_with('\n') {
        line.push(char::from(stream.read_u8().await.unwrap()));
    }
    (stream, answer, line)
}

#[tokio::test]
async fn an_upgrade_hands_the_connection_to_the_relay() {
    let door = open().await;
    let (mut stream, answer, line) = relay_client(&door, "").await;
    // The example of RFC 6455, 1.3.
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(line, "127.0.0.1\n");
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn what_was_sent_together_with_the_handshake_is_not_lost() {
    let door = open().await;
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\nearly");
    let (mut stream, _) = send(door.address(), &request).await;
    let mut heard = [0; 15];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"127.0.0.1\nearly");
}

#[tokio::test]
async fn forwarding_headers_count_only_from_trusted_proxies() {
    let forwarded = "X-Forwarded-For: 1.2.3.4, 203.0.113.9\r\n";
    let door = open_with(Arc::default(), Limits::default(), &["127.0.0.0/8"]).await;
    assert_eq!(relay_client(&door, forwarded).await.2, "203.0.113.9\n");
    assert_eq!(relay_client(&open().await, forwarded).await.2, "127.0.0.1\n");
}

#[tokio::test]
async fn a_relay_client_that_is_not_wanted_is_told_so() {
    let rooms = Rooms { unwelcome: Some("127.0.0.1".parse().unwrap()), ..Rooms::default() };
    let door = open_with(Arc::new(rooms), Limits::default(), &[]).await;
    let (_, answer, _) = relay_client(&door, "").await;
    assert_eq!(answer.status(), 429);
    assert!(answer.has_cors() && answer.header("retry-after").is_some());
}

#[tokio::test]
async fn connections_are_bounded_and_places_are_given_back() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let door = open_with(Arc::default(), limits, &[]).await;
    let (first, _, _) = relay_client(&door, "").await;
    let (_second, _, _) = relay_client(&door, "").await;
    let full = ask(&door, "GET /healthz", "").await;
    assert_eq!(full.status(), 503);
    assert!(full.has_cors() && full.header("connection") == Some("close"));
    drop(first);
    // The place is free when the relay has noticed.
    let freed = async { while ask(&door, "GET /healthz", "").await.status() != 200 {} };
    tokio::time::timeout(BOUND, freed).await.expect("the place is given back");
}

#[tokio::test]
async fn one_address_cannot_take_all_places_even_through_a_proxy() {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let door = open_with(Arc::default(), limits, &["127.0.0.1/32"]).await;
    let (_kept, answer, _) = relay_client(&door, "X-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(answer.status(), 101);
    assert_eq!(relay_client(&door, "X-Forwarded-For: 203.0.113.9\r\n").await.1.status(), 429);
    assert_eq!(relay_client(&door, "X-Forwarded-For: 203.0.113.8\r\n").await.1.status(), 101);

    let door = open_with(Arc::default(), limits, &[]).await;
    let (_kept, answer, _) = relay_client(&door, "").await;
    assert_eq!(answer.status(), 101);
    assert_eq!(ask(&door, "GET /", "").await.status(), 429);
}

#[tokio::test]
async fn closing_lets_a_running_push_finish_and_turns_others_away() {
    let rooms = Arc::new(Rooms::default());
    let door = open_with(rooms.clone(), Limits::default(), &[]).await;
    let (address, stopping) = (door.address(), door.stopping());
    let push = format!(
        "POST /{NPUB}/hosted.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n0000"
    );
    let push = tokio::spawn(async move { send(address, &push).await.1 });
    rooms.begun.notified().await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let (mut relay, _, _) = relay_client(&door, "").await;

    let closing = tokio::spawn(door.close(BOUND));
    stopping.cancelled().await;
    let mut bye = [0; 3];
    relay.read_exact(&mut bye).await.unwrap();
    assert_eq!(&bye, b"bye");
    let health = send(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.1;
    assert_eq!(health.status(), 503);
    assert!(health.has_cors());
    assert!(!closing.is_finished());

    rooms.finish.notify_one();
    assert_eq!(push.await.unwrap().body, "ReceivePack  0000");
    assert!(tokio::time::timeout(BOUND, closing).await.unwrap().unwrap(), "everything finished");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_dropped() {
    let rooms = Arc::new(Rooms::default());
    let door = open_with(rooms.clone(), Limits::default(), &[]).await;
    let push = format!(
        "POST /{NPUB}/hosted.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n0000"
    );
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    stream.write_all(push.as_bytes()).await.unwrap();
    rooms.begun.notified().await;
    assert!(!door.close(Duration::from_millis(10)).await);
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::default() };
    let door = open_with(Arc::default(), limits, &[]).await;
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
    let ended = tokio::time::timeout(BOUND, stream.read(&mut [0; 512])).await.expect("the connection ends");
    assert_eq!(ended.unwrap_or(0), 0);
}
