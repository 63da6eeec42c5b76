//! Tests of the bound on authentication attempts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use futures_util::future::join_all;

use super::*;

const PAUSE: Duration = Duration::from_secs(1800);

fn account(name: &str, secret: &str) -> ServiceAccount {
    ServiceAccount { name: name.to_owned(), secret: Secret::new(secret).unwrap() }
}

fn paused_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test);
}

#[test]
fn spellings_of_one_account_have_one_key() {
    let domain = Name::new("corp.example.com").unwrap();
    for name in ["reader", "Reader@corp.example.com", "CORP\\reader"] {
        assert_eq!(key(&account(name, "x"), Some(&domain)), "reader@corp");
    }
    assert_eq!(key(&account("CORP\\Reader", "x"), None), "reader@corp");
    let dn = "CN=Reader,DC=corp,DC=example,DC=com";
    assert_eq!(key(&account(dn, "x"), Some(&domain)), dn.to_lowercase());
}

#[test]
fn a_refused_account_is_tried_once_by_all_that_share_it() {
    paused_time(async {
        let guard = AccountGuard::default();
        let tries = Mutex::new(0);
        let connect = |name: &'static str| {
            let account = guard.account(&account(name, "wrong"), None, PAUSE);
            let tries = &tries;
            async move {
                match account.begin().await {
                    Ok(attempt) => {
                        *tries.lock() += 1;
                        tokio::task::yield_now().await;
                        attempt.refused("data 52e");
                        None
                    }
                    Err(refused) => Some(refused),
                }
            }
        };
        let names = ["reader@corp.example.com", "CORP\\reader"];
        let all = join_all((0..20).map(|number| connect(names[number % 2]))).await;
        assert_eq!(*tries.lock(), 1);
        let refused: Vec<_> = all.into_iter().flatten().collect();
        assert_eq!(refused.len(), 19);
        assert!(
            refused.iter().all(|refused| refused.reason == "data 52e" && refused.left <= PAUSE)
        );
    });
}

#[test]
fn an_accepted_account_is_tried_by_one_connection_after_the_other() {
    paused_time(async {
        let guard = AccountGuard::default();
        let under_way = Mutex::new(0);
        let connect = || {
            let account = guard.account(&account("reader", "right"), None, PAUSE);
            let under_way = &under_way;
            async move {
                let attempt = account.begin().await.unwrap();
                *under_way.lock() += 1;
                assert_eq!(*under_way.lock(), 1);
                tokio::task::yield_now().await;
                *under_way.lock() -= 1;
                attempt.accepted();
            }
        };
        join_all((0..20).map(|_| connect())).await;
    });
}

#[test]
fn a_reload_another_secret_or_the_end_of_the_pause_releases_the_account() {
    paused_time(async {
        let guard = AccountGuard::default();
        let wrong = guard.account(&account("reader", "wrong"), None, PAUSE);
        wrong.begin().await.unwrap().refused("52e");
        assert!(wrong.begin().await.is_err());
        let right = guard.account(&account("reader", "right"), None, PAUSE);
        right.begin().await.unwrap().accepted();
        assert!(wrong.begin().await.is_err(), "the wrong secret stays refused");
        let (released, ()) = tokio::join!(timeout(PAUSE, wrong.released()), async {
            tokio::task::yield_now().await;
            guard.release_all();
        });
        assert!(released.is_ok() && wrong.begin().await.is_ok());
        let brief = guard.account(&account("reader", "wrong"), None, Duration::from_millis(20));
        brief.begin().await.unwrap().refused("52e");
        brief.released().await;
        assert!(brief.begin().await.is_ok());
    });
}

#[test]
fn a_changed_secret_file_releases_the_account() {
    paused_time(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let write = |text: &str| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("wrong\n");
        let secret = Secret::from_file(&file).unwrap();
        let configured = ServiceAccount { name: "reader".to_owned(), secret };
        let account = AccountGuard::default().account(&configured, None, PAUSE);
        account.begin().await.unwrap().refused("52e");
        fs::remove_file(&file).unwrap();
        assert!(account.begin().await.is_err(), "a file that is missing changes nothing");
        write("right\n");
        account.released().await;
        let attempt = account.begin().await.unwrap();
        assert_eq!(attempt.secret().expose(), "right");
    });
}

#[test]
fn an_attempt_without_a_verdict_neither_pauses_nor_blocks_the_account() {
    paused_time(async {
        let account = AccountGuard::default().account(&account("reader", "x"), None, PAUSE);
        drop(account.begin().await.unwrap());
        let hanging = account.begin().await.unwrap();
        let started = Clock::instant();
        let next = account.begin().await.unwrap();
        assert!(started.elapsed() >= ATTEMPT_LIMIT.mul_f64(0.9), "it waits for its turn");
        drop(hanging);
        assert!(
            timeout(Duration::from_millis(50), account.begin()).await.is_err(),
            "the end of an abandoned attempt does not end the turn of the next"
        );
        drop(next);
        assert!(account.begin().await.is_ok());
    });
}
