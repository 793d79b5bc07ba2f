//! Many at once.

use super::*;

/// So many rounds; each takes a few milliseconds.
const ROUNDS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoked_token_is_never_taken_however_the_lookups_fall() {
    let bed = Arc::new(Bed::new().await);
    for _ in 0..ROUNDS {
        let scope = json!({"project": {"id": bed.admin.project_id}});
        let login = bed.post("/auth/tokens", "", rescope(&bed.admin.token, scope)).await.expect(201);
        let token = login.token();
        let asking = (0..4).map(|_| {
            let (bed, token) = (Arc::clone(&bed), token.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let _ = bed.caller(&token).await;
                    tokio::task::yield_now().await;
                }
            })
        });
        let asking: Vec<_> = asking.collect();
        let revoke = [("x-auth-token", token.as_str()), ("x-subject-token", token.as_str())];
        bed.send(Method::DELETE, "/auth/tokens", &revoke, Body::empty()).await.expect(204);
        assert!(bed.caller(&token).await.is_err(), "right after the answer");
        for task in asking {
            task.await.unwrap();
        }
        assert!(bed.caller(&token).await.is_err(), "after those who asked meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_taken_once_however_many_want_it() {
    let bed = Arc::new(Bed::new().await);
    let tasks = (0..16).map(|_| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            let body = json!({"project": {"name": "wanted"}});
            bed.post("/projects", &bed.admin.token, body).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    let mut expected = vec![409; 16];
    expected[0] = 201;
    assert_eq!(statuses, expected);
}
