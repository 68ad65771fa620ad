//! Standbys that take over, and primaries that were taken over.

use super::super::*;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_goes_on_and_the_former_primary_is_kept() {
    let home = Home::new();
    let mut running = home.start();
    put(&running.primary, "k", "1").await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    let refused = take_over(&home.path(), Some(&home.standby())).await;
    assert!(
        matches!(refused, Err(TakeoverError::Lives { .. })),
        "{refused:?}"
    );
    running.end().await;
    // Two writes that the standby does not have.
    let alone = Sqlite::open(home.path()).expect("it opens");
    put(&alone, "k", "2").await;
    put(&alone, "k", "3").await;
    // Nobody has the standby open, and its primary lives.
    let refused = take_over(&home.path(), Some(&home.standby())).await;
    let lives = matches!(refused, Err(TakeoverError::Lives { .. }));
    assert!(lives, "{refused:?}");
    alone.close().await.expect("it closes");
    let former = all(&home.path()).await;

    let done = take_over(&home.path(), Some(&home.standby())).await;
    let done = done.expect("it is whole");
    assert_eq!((done.lost, done.version), (Lost::Changes(2), 1));
    let Former::SetAside { to, .. } = done.former else {
        panic!("{:?}", done.former);
    };
    assert_eq!(all(&to).await, former);
    let again = take_over(&home.path(), Some(&home.standby())).await;
    let again = again.expect("it is harmless");
    assert!(
        again.was_primary && again.former == Former::Absent,
        "{again:?}"
    );

    // The one that came back is no primary.
    fs::copy(&to, home.path()).expect("a copy");
    let mut running = home.start();
    assert_eq!(
        running.primary.path(),
        home.standby().canonicalize().expect("there")
    );
    put(&running.primary, "k", "4").await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    let expect = running.end().await;
    assert_eq!(all(&home.path()).await, expect);
    let kept = fs::read_dir(home.0.path()).expect("a directory").flatten();
    let names = kept.map(|it| it.file_name().to_string_lossy().into_owned());
    let kept = names.filter(|name| name.contains(".former-0") && !name.ends_with(".lock"));
    assert_eq!(kept.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_says_what_it_knows() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let refused = take_over(&path, Some(&standby)).await;
    assert!(
        matches!(refused, Err(TakeoverError::NoStandby { .. })),
        "{refused:?}"
    );
    let mut running = home.start();
    put(&running.primary, "k", "1").await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;

    // A standby is not opened for itself.
    let refused = open(&standby, None, Sqlite::options());
    assert!(
        matches!(refused, Err(PairError::Standby { .. })),
        "{refused:?}"
    );
    fs::remove_file(&path).expect("it is there");
    let refused = open(&path, Some(&standby), Sqlite::options());
    assert!(matches!(refused, Err(PairError::Unclear(_))), "{refused:?}");
    assert!(!path.exists());
    let done = take_over(&path, Some(&standby)).await.expect("it is whole");
    let Lost::Unknown { seen: Some((0, _)) } = done.lost else {
        panic!("{:?}", done.lost);
    };
    assert_eq!(done.former, Former::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_copy_that_was_not_finished_does_not_take_over() {
    let home = Home::new();
    let database = Sqlite::open(home.path()).expect("it opens");
    put(&database, "k", "1").await;
    database.close().await.expect("it closes");
    fs::write(names::copying(&home.standby()), "a part").expect("a file");
    let (path, standby) = (home.path(), home.standby());
    for _ in 0..2 {
        let refused = take_over(&path, Some(&standby)).await;
        assert!(
            matches!(refused, Err(TakeoverError::NotWhole { .. })),
            "{refused:?}"
        );
        if path.exists() {
            fs::remove_file(&path).expect("it is ours");
        }
    }
    let refused = open(&path, Some(&standby), Sqlite::options());
    assert!(matches!(refused, Err(PairError::Unclear(_))), "{refused:?}");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_takeover_nothing_begins_empty_where_no_standby_is_named() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    take_over(&path, Some(&standby)).await.expect("it is whole");
    let refused = open(&path, None, Sqlite::options()).expect_err("it was taken over");
    let PairError::TakenOver { trace, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert!(trace.ends_with("a.db.former-0"), "{refused}");
    assert!(refused.hint().is_some_and(|it| it.contains("leads now")));
    assert!(!path.exists());
    // The one that leads, alone; and anew, without the trace.
    let (lead, _) = open(&standby, None, Sqlite::options()).expect("it leads");
    drop(lead);
    fs::remove_file(trace).expect("it is ours");
    open(&path, None, Sqlite::options()).expect("nothing was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_cannot_be_written_is_no_dead_kernel() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    // A directory cannot be opened for writing, by no user; but for reading, and be locked.
    let lock = files::lock(&path);
    fs::remove_file(&lock).expect("it is there");
    fs::create_dir(&lock).expect("a directory");
    let living = fs::File::open(&lock).expect("it is there");
    living.try_lock().expect("nobody has it");
    let refused = take_over(&path, Some(&standby)).await;
    let lives = matches!(refused, Err(TakeoverError::Lives { .. }));
    assert!(lives, "{refused:?}");
    drop(living);
    // What can be opened in no way.
    fs::remove_dir(&lock).expect("it is empty");
    std::os::unix::fs::symlink(&lock, &lock).expect("a link");
    let refused = take_over(&path, Some(&standby)).await;
    let Err(TakeoverError::Unsure(error)) = refused else {
        panic!("{refused:?}");
    };
    let named = error.to_string();
    assert!(named.contains("a.db.lock"), "{named}");
    let header = Sqlite::header(&standby).expect("readable").expect("there");
    assert!(header.following);
    fs::remove_file(&lock).expect("it is there");
    fs::create_dir(&lock).expect("a directory");
    take_over(&path, Some(&standby))
        .await
        .expect("nobody lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_sees_a_later_one_writes_no_more() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let mut running = home.start();
    put(&running.primary, "k", "1").await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    // The disk of the primary is lost, and the standby takes over; then it is the other way round.
    let [saved, away] = ["saved", "away"].map(|name| home.0.path().join(name));
    fs::rename(&path, &saved).expect("it can be moved");
    take_over(&path, Some(&standby)).await.expect("it is whole");
    let later = Sqlite::open(&standby).expect("it opens");
    put(&later, "k", "2").await;
    let expect = contents(&later, |_| ()).await.expect("it is open");
    later.close().await.expect("it closes");
    fs::rename(home.disk(), &away).expect("it can be moved");
    fs::rename(&saved, &path).expect("it can be moved");

    let mut running = home.start();
    let real = home.0.path().canonicalize().expect("it is there");
    assert_eq!(running.primary.path(), real.join("a.db"));
    running.until(STANDBY_FAILED_TOPIC).await;
    put(&running.primary, "k", "3").await;
    fs::rename(&away, home.disk()).expect("it can be moved");
    let told = running.until(STANDBY_FAILED_TOPIC).await;
    let problem = told["problem"]["message"].as_str().expect("a text");
    assert!(problem.contains("took over from this storage"), "{problem}");
    let hint = told["problem"]["hint"].as_str().expect("a text");
    assert!(hint.contains("start again"), "{hint}");
    let status = running.follower.status().await;
    assert_eq!(status.state, StandbyState::Failed, "{status:?}");

    let mut batch = Batch::new();
    let put = batch.put("a", "k", Expect::Any, &b"4"[..]);
    put.expect("a valid write");
    let refused = running.primary.apply(batch).await;
    let refused = refused.expect_err("it would be lost");
    let hint = refused.hint().expect("there is a way out");
    assert!(hint.contains("start again"), "{hint}");
    let told = Problem::from_error("unavailable", &refused, None).message;
    let told = told.replace(&real.display().to_string(), "HOME");
    assert_eq!(
        told,
        "storage `HOME/a.db` is unavailable: a standby took over from it: \
         `HOME/disk/b.db` is the primary in epoch 1, this one was in epoch 0"
    );
    let stale = running.end().await;

    let mut running = home.start();
    assert_eq!(running.primary.path(), real.join("disk/b.db"));
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    assert_eq!(running.end().await, expect);
    assert_eq!(all(&path).await, expect);
    assert_eq!(all(&home.0.path().join("a.db.former-0")).await, stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_leads_above_a_primary_that_was_not_followed_yet() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    let alone = Sqlite::open(&path).expect("it opens");
    alone.raise_epoch().await.expect("it is open");
    alone.close().await.expect("it closes");
    // The standby is of an earlier epoch, and cannot be made anew.
    let in_the_way = names::copying(&home.standby());
    fs::create_dir_all(in_the_way.join("full")).expect("a directory");
    let mut running = home.start();
    put(&running.primary, "k", "1").await;
    running.until(STANDBY_FAILED_TOPIC).await;
    running.end().await;
    let epoch = |path| {
        let header = Sqlite::header(path).expect("it can be read");
        header.expect("it is there").epoch
    };
    assert_eq!((epoch(&path), epoch(&standby)), (1, 0));

    let away = home.0.path().join("away");
    fs::rename(&path, &away).expect("it can be moved");
    take_over(&path, Some(&standby)).await.expect("it is whole");
    assert_eq!(epoch(&standby), 2);
    // The one that it took over from comes back, with more.
    fs::rename(&away, &path).expect("it can be moved");
    let (lead, _) = open(&path, Some(&standby), Sqlite::options()).expect("it is clear");
    let real = home.disk().canonicalize().expect("it is there");
    assert_eq!(lead.path(), real.join("b.db"));
    assert!(home.0.path().join("a.db.former-1").exists());
}
