//! Sessions over the network: they carry both ways, end on both sides, and come again.

use crate::bed::{Agent, Server, Tokens, authority, desired, hello, soon};
use karez_engine::{ConnectionId, RouterId, TunnelReport, TunnelState, TunnelStatus};
use karez_fabric::{Dial, Dialer, FromAgent, IdentityStore, ServerOptions, ToAgent};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

#[tokio::test]
async fn a_session_carries_messages_both_ways() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let mut end = agent.dial().await;
    let mut control = server.session().await;

    end.outgoing.send(hello("node-1")).await.expect("it is open");
    let said = soon(control.incoming.recv()).await;
    assert!(matches!(said, Some(FromAgent::Hello(hello)) if hello.host == "node-1"));
    control.outgoing.send(ToAgent::Renewed { taken: 0 }).await.expect("it is open");
    assert!(matches!(soon(end.incoming.recv()).await, Some(ToAgent::Renewed { taken: 0 })));
}

#[tokio::test]
async fn the_control_plane_sees_when_an_agent_says_to_be_another_than_its_certificate_does() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let end = agent.dial().await;
    let mut control = server.session().await;

    end.outgoing.send(hello("node-2")).await.expect("it is open");
    let Some(FromAgent::Hello(hello)) = soon(control.incoming.recv()).await else { panic!("no hello") };
    assert_eq!(control.host.as_deref(), Some("node-1"));
    assert_ne!(control.host, Some(hello.host));
}

#[tokio::test]
async fn a_desired_state_of_two_thousand_tunnels_arrives_whole() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let mut end = agent.dial().await;
    let control = server.session().await;

    let given = desired(2000, "one key for all of them");
    control.outgoing.send(ToAgent::Desired(given.clone())).await.expect("it is open");
    let Some(ToAgent::Desired(taken)) = soon(end.incoming.recv()).await else { panic!("something else") };
    assert!(taken.routers == given.routers);
}

#[tokio::test]
async fn a_long_report_arrives_in_parts_that_are_the_whole() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let end = agent.dial().await;
    let mut control = server.session().await;

    let given: Vec<_> = (0..2000).map(report).collect();
    end.outgoing.send(FromAgent::Tunnels(given.clone())).await.expect("it is open");
    let mut taken = Vec::new();
    while taken.len() < given.len() {
        let Some(FromAgent::Tunnels(part)) = soon(control.incoming.recv()).await else { panic!("no report") };
        taken.extend(part);
    }
    assert_eq!(taken, given);
}

#[tokio::test]
async fn an_agent_that_takes_nothing_makes_the_control_plane_wait() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let mut end = agent.dial().await;
    let control = server.session().await;

    // Far more than all windows and channels on the way hold.
    let many = tokio::spawn(async move {
        for _ in 0..300 {
            control.outgoing.send(ToAgent::Desired(desired(200, "key"))).await.expect("it is open");
        }
        control
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!many.is_finished(), "nothing has made it wait");
    for _ in 0..300 {
        assert!(matches!(soon(end.incoming.recv()).await, Some(ToAgent::Desired(_))));
    }
    drop(soon(many).await);
}

#[tokio::test]
async fn what_an_agent_has_said_arrives_though_it_leaves_at_once() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let end = agent.dial().await;
    let mut control = server.session().await;

    for revision in 0..50 {
        end.outgoing.send(FromAgent::Applied { revision }).await.expect("it is open");
    }
    drop(end);
    for expected in 0..50 {
        let said = soon(control.incoming.recv()).await;
        assert!(matches!(said, Some(FromAgent::Applied { revision }) if revision == expected));
    }
    assert!(soon(control.incoming.recv()).await.is_none());
    soon(control.outgoing.closed()).await;
}

/// The end and the last message come together, and which is seen first is chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_control_plane_says_last_arrives_though_the_session_ends_with_it() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    // Each with a dialer of its own, which does not wait before its first attempt.
    for number in 0..50 {
        agent.dialer = Dialer::new(vec![server.url()], IdentityStore::new(agent.directory.path()));
        let mut end = agent.dial().await;
        let control = server.session().await;
        control.outgoing.send(ToAgent::Replaced).await.expect("it is open");
        drop(control);
        soon(end.outgoing.closed()).await;
        assert!(matches!(end.incoming.try_recv(), Ok(ToAgent::Replaced)), "{number}");
    }
}

#[tokio::test]
async fn a_session_that_the_control_plane_drops_ends_at_the_agent() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let mut end = agent.dial().await;
    let control = server.session().await;

    control.outgoing.send(ToAgent::Renewed { taken: 0 }).await.expect("it is open");
    // One of both halves is enough.
    drop(control.incoming);
    assert!(matches!(soon(end.incoming.recv()).await, Some(ToAgent::Renewed { taken: 0 })));
    assert!(soon(end.incoming.recv()).await.is_none());
    soon(end.outgoing.closed()).await;
    soon(control.outgoing.closed()).await;
}

#[tokio::test]
async fn an_agent_comes_back_when_the_server_was_restarted() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let mut end = agent.dial().await;
    let control = server.session().await;
    let address = server.address;

    server.stop().await;
    assert!(soon(end.incoming.recv()).await.is_none());
    soon(control.outgoing.closed()).await;

    let again = tokio::spawn(async move { agent.dial().await });
    let mut server = Server::start_at(address, &authority, &tokens, ServerOptions::default()).await;
    let end = soon(again).await.expect("a session");
    let mut control = server.session().await;
    end.outgoing.send(FromAgent::Heartbeat).await.expect("it is open");
    assert!(matches!(soon(control.incoming.recv()).await, Some(FromAgent::Heartbeat)));
}

#[tokio::test]
async fn an_agent_takes_the_server_that_is_there() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    // Nobody listens there, and nobody else gets the port meanwhile.
    let held = TcpSocket::new_v4().expect("a socket");
    held.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let gone = held.local_addr().expect("an address");
    let servers = vec![crate::bed::url(gone), server.url(), crate::bed::url(gone)];
    let mut dialer = Dialer::new(servers, IdentityStore::new(agent.directory.path()));
    for _ in 0..4 {
        let end = soon(dialer.dial()).await;
        drop(server.session().await);
        soon(end.outgoing.closed()).await;
    }
}

/// Nothing is closed here: the network has swallowed the other end.
#[tokio::test]
async fn a_peer_that_has_fallen_silent_is_noticed_on_both_sides() {
    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let (silence, through) = wire_that_can_fall_silent(server.address).await;
    let mut dialer = Dialer::new(vec![crate::bed::url(through)], IdentityStore::new(agent.directory.path()));
    let mut end = soon(dialer.dial()).await;
    let mut control = server.session().await;
    end.outgoing.send(FromAgent::Heartbeat).await.expect("it is open");
    assert!(soon(control.incoming.recv()).await.is_some());

    silence.send(true).expect("the wire is there");
    let both = async { (end.incoming.recv().await.is_none(), control.incoming.recv().await.is_none()) };
    assert_eq!(timeout(Duration::from_secs(40), both).await, Ok((true, true)));
}

#[allow(clippy::expect_used, reason = "it is a part of a test")]
async fn wire_that_can_fall_silent(to: SocketAddr) -> (watch::Sender<bool>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (silence, mut silent) = watch::channel(false);
    tokio::spawn(async move {
        let (mut agent, _) = listener.accept().await.expect("a connection");
        let mut server = TcpStream::connect(to).await.expect("a connection");
        tokio::select! {
            _ = copy_bidirectional(&mut agent, &mut server) => {}
            _ = silent.wait_for(|silent| *silent) => {}
        }
        // Both stay open, and nobody reads.
        std::future::pending::<()>().await;
        drop((agent, server));
    });
    (silence, address)
}

fn report(number: u128) -> (i64, TunnelReport) {
    let status = TunnelStatus {
        id: ConnectionId(Uuid::from_u128(number)),
        state: TunnelState::Pending,
        reason: None,
        since: 1,
        ike: None,
        children: Vec::new(),
        missing: Vec::new(),
    };
    (2, TunnelReport { router: RouterId(Uuid::from_u128(7)), status, events: Vec::new() })
}
