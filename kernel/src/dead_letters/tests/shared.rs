//! Letters of several kernels on one storage, and of those that were there before.

use super::*;

#[tokio::test]
async fn kernels_on_one_storage_leave_each_other_alone() {
    let storage = Storage::new(Memory::new());
    check(storage.clone(), storage).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn kernels_on_one_server_leave_each_other_alone() {
    use crate::storage::{Postgres, PostgresConfig};
    let Some(server) = octa_test_servers::postgres() else {
        return;
    };
    let database = server.database("letters");
    let open = async || {
        let opened = Postgres::open(PostgresConfig::new(database.url())).await;
        Storage::new(opened.expect("the database is opened"))
    };
    let (one, two) = (open().await, open().await);
    check(one.clone(), two.clone()).await;
    for storage in [one, two] {
        storage.close().await.expect("it closes");
    }
}

/// Two kernels begin at the same time; then comes a third.
async fn check(storage: Storage, other: Storage) {
    let [mut one, mut two] = [(); 2].map(|()| Desk::new());
    let keeping = [(&one, &storage), (&two, &other)];
    let keeping = keeping.map(|(desk, storage)| tokio::spawn(desk.letters.keep(storage.clone())));
    for desk in [&one, &two] {
        desk.letters.known().await;
    }
    for number in 0..2 {
        assert_eq!(one.add(Payload::empty(), "of one"), number + 1);
        assert_eq!(two.add(Payload::empty(), "of two"), number + 1);
    }
    for desk in [&one, &two] {
        desk.letters.close().await;
    }
    for keeping in keeping {
        keeping.await.expect("it ends");
    }
    let third = Desk::new();
    let reading = tokio::spawn(third.letters.keep(storage.clone()));
    third.letters.known().await;
    let found = causes(&third);
    let count = |cause| found.iter().filter(|(_, found)| found == cause).count();
    assert_eq!((count("of one"), count("of two")), (2, 2), "{found:?}");
    let ids: std::collections::BTreeSet<_> = third.ids().into_iter().collect();
    assert_eq!(ids.len(), 4, "each has a number of its own: {found:?}");
    for (id, _) in found.iter().filter(|(_, cause)| cause == "of one") {
        third.letters.forget(*id).expect("it is there");
    }
    third.letters.close().await;
    reading.await.expect("it ends");
    let left = causes(&read_again(&storage).await);
    assert_eq!(left, [1, 2].map(|id| (id, "of two".to_owned())));
}

#[tokio::test]
async fn a_letter_that_nobody_takes_stays_where_it_was() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    desk.add_number(1);
    desk.keep_to_the_end(&storage).await;
    let before = keys(&storage).await;
    let again = Desk::new();
    let keeping = again.letters.keep(storage.clone());
    tokio::join!(keeping, async {
        again.letters.known().await;
        let nobody = Bus::new(Arc::new(|| 5));
        let replayed = again.letters.replay(1, &nobody);
        assert!(matches!(replayed, Err(NotReplayed::Nobody(_))));
        again.letters.close().await;
    });
    assert_eq!(keys(&storage).await, before);
}

#[tokio::test]
async fn what_older_kernels_wrote_is_read_and_deleted() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    desk.add(Payload::from(vec![b'1'; 200_000]), "in pieces");
    desk.keep_to_the_end(&storage).await;
    for key in keys(&storage).await {
        let older = key.replace(&desk.key(1), &format!("{:020}", 1));
        let record = storage.get(NAMESPACE, &key).await.expect("it is read");
        let value = record.expect("a record").value;
        storage
            .set(NAMESPACE, &older, value)
            .await
            .expect("it is set");
        storage.delete(NAMESPACE, &key).await.expect("it is gone");
    }
    let again = Desk::new();
    tokio::join!(again.letters.keep(storage.clone()), async {
        again.letters.known().await;
        let letter = again.letters.forget(1).expect("it is there");
        assert_eq!(letter.event.payload.len(), 200_000);
        again.letters.close().await;
    });
    assert_eq!(keys(&storage).await, [""; 0]);
}
