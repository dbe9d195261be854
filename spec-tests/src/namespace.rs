//! A network of a test's own, from which nothing goes out and to which nobody else comes (a Linux network namespace).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no network cannot go on

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// An address of the whole internet's, here in the test's own network: what listens there is a public server.
pub const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9));
/// A private address of the same machine, by which it would go out.
pub const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));

/// All addresses are of the loopback device, so nothing leaves the machine. It ends when nobody holds its input open.
const SET_UP: &str = "
    set -e
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    ip address add $0/32 dev lo
    ip address add $1/32 dev lo
    ip route add default dev lo src $1
    echo ready
    read -r _ || true";

/// The network; it ends when this is dropped and everybody has left it, or this process ends.
#[derive(Debug)]
pub struct Network(Child);

impl Network {
    /// Makes one.
    ///
    /// # Errors
    /// Why this machine cannot: only root can, and `unshare` and `ip` are needed.
    pub fn make() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can make a network of its own".to_owned());
        }
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", SET_UP])
            .args([PUBLIC, PRIVATE].map(|address| address.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare (util-linux) does not start: {error}"))?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let network = Self(child);
        if said == "ready\n" { Ok(network) } else { Err("ip (iproute2) cannot set up a network".to_owned()) }
    }

    /// Runs a test in it, on a thread of its own: its sockets are of this network, and those of the processes it starts.
    ///
    /// # Panics
    /// When the test does, or the network cannot be entered.
    pub fn run(&self, test: impl Future<Output = ()> + Send) {
        let path = format!("/proc/{}/ns/net", self.0.id());
        let entered = || {
            let namespace = File::open(path).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
        };
        std::thread::scope(|scope| {
            if let Err(panic) = scope.spawn(entered).join() {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}
