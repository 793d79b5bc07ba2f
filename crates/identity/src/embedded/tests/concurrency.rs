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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_passwords_that_come_together_are_all_taken_and_wrong_ones_are_not() {
    let bed = Arc::new(Bed::new().await);
    bed.user("alice").await;
    let together = |count: usize, password: String| {
        let tasks = (0..count).map(|_| {
            let (bed, password) = (Arc::clone(&bed), password.clone());
            let login = async move {
                bed.post("/auth/tokens", "", login_by_name("alice", &password, Json::Null))
                    .await
                    .status
                    .as_u16()
            };
            tokio::spawn(login)
        });
        let tasks: Vec<_> = tasks.collect();
        async move {
            let mut statuses = Vec::new();
            for task in tasks {
                statuses.push(task.await.unwrap());
            }
            statuses
        }
    };
    assert_eq!(together(16, password_of("alice")).await, [201; 16]);
    let statuses = together(24, "wrong".to_owned()).await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (10, 14), "{statuses:?}");
}
