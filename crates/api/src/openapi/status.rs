//! The status of a connection: its path, its schema, and the closed vocabulary of reasons.

use super::paths::{answers, id, reference};
use karez_engine::Code;
use serde_json::{Map, Value as Json, json};

/// The schemas that the path refers to.
pub(super) fn schemas(schemas: &mut Map<String, Json>) {
    schemas.insert("StatusReason".into(), vocabulary());
    schemas.insert("ConnectionStatus".into(), connection());
}

/// The path below a connection.
pub(super) fn path(paths: &mut Map<String, Json>) {
    let shown = json!({"type": "object", "required": ["connection_status"],
        "properties": {"connection_status": reference("ConnectionStatus")}});
    paths.insert(
        "/v2.0/vpn/ipsec-site-connections/{id}/status".into(),
        json!({
            "parameters": [id()],
            "get": {
                "operationId": "show_ipsec_site_connection_status",
                "summary": "Shows why a connection is in its status, and everything that is known about its tunnel",
                "responses": answers("200", &shown),
            },
        }),
    );
}

/// What each reason means, in a sentence.
fn meaning(code: Code) -> &'static str {
    match code {
        Code::NoAgent => "No agent runs the router's VPN.",
        Code::AgentLost => "The agent that runs it has not been heard of; what is shown is its last report.",
        Code::AdminDown => "The administrative state of the connection, its service or its router is down.",
        Code::Negotiating => "An attempt is under way and has not failed yet.",
        Code::WaitingForPeer => "It is for the peer to begin.",
        Code::PeerUnreachable => "The peer was asked and does not answer.",
        Code::PeerNotResolved => "The peer's host name has no address.",
        Code::ProposalMismatch => "No proposal of the policies suits both ends.",
        Code::SelectorMismatch => "The ends do not agree on which networks are joined.",
        Code::AuthenticationFailed => "The pre-shared keys differ.",
        Code::IdentityMismatch => "An end says that it is somebody else than the other expects.",
        Code::VersionMismatch => "The ends speak different versions of IKE, or different exchanges.",
        Code::PeerDeleted => "The peer has taken the tunnel down.",
        Code::PeerLost => "The peer has stopped answering.",
        Code::Narrowed => "The tunnel is up, and some pairs of networks are missing.",
        Code::RekeyFailed => "A rekey has failed.",
        Code::Unsupported => {
            "What is asked for cannot be: it contradicts itself or another connection, or the engine lacks it."
        }
        Code::LocalError => "Something on this side is wrong: the machine, or the router's gateway.",
    }
}

fn vocabulary() -> Json {
    let line = |code: &Code| format!("- `{code}`: {}", meaning(*code));
    let lines: Vec<String> = Code::ALL.iter().map(line).collect();
    let names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "string",
        "enum": names,
        "description": format!("Why a connection or a service is in its status.\n\n{}", lines.join("\n")),
    })
}

fn connection() -> Json {
    object(
        "Everything that is known about a connection. Attributes of the tunnel are those of the last report.",
        json!({
            "id": text("The connection."),
            "project_id": text("Its project."),
            "tenant_id": text("The same as project_id."),
            "status": text("As the connection shows it."),
            "status_reason": or_null(reference("StatusReason")),
            "status_detail": or_null(text("The reason in a sentence or two.")),
            "reason": or_null(object("Why it is in that status; null when all is well.", json!({
                "code": reference("StatusReason"),
                "message": text("What is wrong and what would mend it."),
                "evidence": {"type": "object", "description": "What it is concluded from."},
            }))),
            "state": or_null(json!({"type": "string", "enum": ["pending", "up", "down", "error"],
                "description": "The state of the tunnel; null before the first report."})),
            "since": or_null(time("Since when it has been in that state.")),
            "reported_at": or_null(time("When its agent reported last.")),
            "agent_alive": {"type": "boolean", "description": "Whether a living agent looks after it."},
            "agent_host": or_null(text("The host of its agent. Only for those who may see agents.")),
            "ike": or_null(ike()),
            "children": list(child()),
            "missing": list(object("A pair of networks that has no child SA.", json!({
                "local_subnet": text("Ours."),
                "peer_subnet": text("The peer's."),
            }))),
            "traffic": traffic("Through all child SAs that there are now; it begins anew with each rekey."),
            "next_rekey": or_null(time("When the first of the SAs is to be renewed.")),
            "events": list(object("Something that happened; the last 100 are kept, the newest last.", json!({
                "at": time("When."),
                "kind": {"type": "string", "enum": ["configured", "state", "attempt", "refused", "retransmit",
                    "ike_up", "ike_down", "child_up", "child_down", "rekeyed", "engine"]},
                "code": or_null(reference("StatusReason")),
                "message": text("In a sentence."),
            }))),
        }),
    )
}

fn ike() -> Json {
    object(
        "The IKE SA.",
        json!({
            "version": {"type": "integer", "enum": [1, 2]},
            "is_initiator": {"type": "boolean", "description": "Whether we began."},
            "local": text("Our address and port."),
            "peer": text("The peer's address and port."),
            "local_id": text("Who we said that we are."),
            "peer_id": text("Who the peer said that it is."),
            "initiator_spi": text("16 hexadecimal digits."),
            "responder_spi": text("16 hexadecimal digits."),
            "suite": text("The negotiated suite, as in aes-128/sha1/group14."),
            "has_nat": {"type": "boolean", "description": "Whether a NAT is on the way. Also true where both ends act as if there were one, to have ESP in UDP."},
            "established_at": time("When it was established."),
            "rekey_at": or_null(time("When it is to be renewed.")),
        }),
    )
}

fn child() -> Json {
    let networks = || list(json!({"type": "string"}));
    object(
        "A pair of child SAs.",
        json!({
            "protocol": {"type": "string", "enum": ["esp", "ah"]},
            "mode": {"type": "string", "enum": ["tunnel", "transport"]},
            "is_encapsulated": {"type": "boolean", "description": "Whether ESP is in UDP."},
            "spi_in": text("8 hexadecimal digits."),
            "spi_out": text("8 hexadecimal digits."),
            "suite": text("The negotiated suite."),
            "local_subnets": networks(),
            "peer_subnets": networks(),
            "traffic": traffic("Since it was installed."),
            "installed_at": time("When it was installed."),
            "rekey_at": or_null(time("When it is to be renewed.")),
            "expires_at": or_null(time("When it ends if it is not renewed.")),
        }),
    )
}

fn traffic(description: &str) -> Json {
    let count = || json!({"type": "integer", "minimum": 0});
    let counts =
        json!({"bytes_in": count(), "bytes_out": count(), "packets_in": count(), "packets_out": count()});
    object(description, counts)
}

fn object(description: &str, properties: Json) -> Json {
    json!({"type": "object", "description": description, "properties": properties})
}

fn list(items: Json) -> Json {
    json!({"type": "array", "items": items})
}

fn text(description: &str) -> Json {
    json!({"type": "string", "description": description})
}

fn time(description: &str) -> Json {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn or_null(schema: Json) -> Json {
    json!({"oneOf": [schema, {"type": "null"}]})
}
