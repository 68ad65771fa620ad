//! Libraries that plugins bring along, and C++ inside of them.

use octa_loader::Generation;

use crate::{
    fixtures,
    unload::{
        stage::{Live, Stage, Worker, check_kept, check_unmapped, maps},
        threads::check_thread,
    },
};

fn companion_is_mapped() -> bool {
    maps().contains("libcompanion.so")
}

/// Counts once on this thread and twice on another, and ends both the instance and that thread.
fn counted(live: Live) -> std::sync::Arc<Generation> {
    let worker = Worker::new("counting");
    assert_eq!(live.touch(), 1);
    let live = worker.run(move || {
        assert_eq!((live.touch(), live.touch()), (1.into(), 2.into()));
        live
    });
    let generation = live.end();
    check_kept(&generation, &["destructor pending on thread `counting`"]);
    worker.end();
    generation
}

#[test]
fn a_library_brought_along_goes_too_unless_two_need_it() {
    let stage = Stage::new();
    let alone = stage.live("brings-library");
    assert!(companion_is_mapped());
    check_unmapped(&counted(alone));
    assert!(
        !companion_is_mapped(),
        "it went with the only one that needed it"
    );

    let older = stage.live("brings-library");
    assert_eq!(older.touch(), 1);
    let newer = stage.live("brings-library");
    assert_eq!(newer.touch(), 2, "the library is one for both");
    check_unmapped(&older.end());
    assert!(companion_is_mapped());
    assert_eq!(newer.touch(), 3, "its values stay");
    check_unmapped(&newer.end());
    assert!(companion_is_mapped(), "it belongs to the process now");
    let worker = Worker::new("late");
    let late = stage.live("brings-library");
    let late = worker.run(move || {
        assert_eq!(late.touch(), 1);
        late
    });
    check_unmapped(&late.end());
    worker.end();
}

#[test]
fn cpp_inside() {
    let Some(library) = fixtures::cpp_library("cpp-inside") else {
        return;
    };
    let stage = Stage::new();
    for _ in 0..10 {
        let live = Live::of(&stage.open(&stage.copy_of(&library)));
        assert_eq!(live.touch(), 1);
        check_thread(&stage, live, 1);
    }
}
