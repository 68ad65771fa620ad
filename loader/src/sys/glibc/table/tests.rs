//! The table by itself: whose is what, and what stands in the way of closing.

use libc::c_void;

use super::*;

/// The thread that everything happens on.
const THREAD: i32 = 7;
/// Where the program lies, a library that stays, and two that may go.
const PROGRAM: Range<usize> = 100..200;
const SHARED: Range<usize> = 200..300;
const FIRST: Range<usize> = 300..400;
const SECOND: Range<usize> = 400..500;

unsafe extern "C" fn destructor(_: *mut c_void) {}

/// A table with one library, which is open.
fn table() -> (Table, Owner) {
    let (mut table, owner) = (Table::new(), Owner::next());
    table.program = PROGRAM;
    table.opening(owner, vec![PROGRAM, SHARED]);
    table.opened(owner, &[FIRST]);
    (table, owner)
}

fn add(table: &mut Table, current: Owner, place: usize) -> Option<bool> {
    let local = (destructor as Destructor, std::ptr::null_mut(), place);
    table.add_local(Some(THREAD), current, local)
}

/// The places of the locals that are taken, in this order.
fn taken(table: &mut Table) -> Vec<usize> {
    let next = || table.take_local(THREAD, |_, _| true);
    std::iter::from_fn(next).map(|local| local.place).collect()
}

#[test]
fn a_local_belongs_to_the_object_that_it_lies_in() {
    let (mut table, owner) = table();
    assert_eq!(add(&mut table, owner, SHARED.start), None);
    assert_eq!(add(&mut table, owner, FIRST.end), None);
    assert_eq!(add(&mut table, Owner::PROCESS, FIRST.start), Some(true));
    assert_eq!(add(&mut table, Owner::PROCESS, FIRST.end - 1), Some(true));
    assert_eq!(taken(&mut table), [FIRST.end - 1, FIRST.start]);
}

#[test]
fn what_is_not_known_belongs_to_who_is_opened() {
    let (mut table, first) = table();
    let second = Owner::next();
    let code = destructor as *const () as usize;
    table.opening(second, vec![PROGRAM, SHARED, FIRST, code..code + 1]);
    assert_eq!(add(&mut table, Owner::PROCESS, SECOND.start), None);
    assert_eq!(add(&mut table, second, SHARED.start), None);
    assert_eq!(add(&mut table, second, FIRST.start), Some(true));
    assert_eq!(add(&mut table, second, SECOND.start), Some(true));
    // Brought into the process by the library, and not gone when that goes.
    assert_eq!(add(&mut table, second, SECOND.end), Some(true));
    table.opened(second, &[SECOND]);
    let mut owners = std::iter::from_fn(|| table.take_local(THREAD, |_, _| true));
    let owners: Vec<_> = owners.by_ref().map(|local| local.owner).collect();
    assert_eq!(owners, [Owner::PROCESS, second, first]);
}

#[test]
fn a_thread_belongs_to_where_it_begins_or_to_who_starts_it() {
    let (mut table, owner) = table();
    let mut check = |start: usize, current, expect| {
        assert_eq!(table.thread_begins(start, current), expect);
    };
    check(FIRST.start, Owner::PROCESS, Beginning::Of(owner));
    check(SHARED.start, owner, Beginning::Of(owner));
    check(SHARED.start, Owner::PROCESS, Beginning::Foreign);
    check(PROGRAM.start, owner, Beginning::Foreign);
    assert_eq!(table.close(owner, true).unwrap_err().threads, 2);
    table.thread_ended(owner);
    table.thread_ended(owner);
    assert_eq!(table.close(owner, true), Ok(()));
}

#[test]
fn what_waits_on_a_thread_stands_in_the_way_until_it_has_run() {
    let (mut table, owner) = table();
    let waits = |on: &[i32]| {
        Err(Pending {
            threads: 0,
            leavings: on.to_vec(),
        })
    };
    add(&mut table, owner, FIRST.start);
    table.retire(owner);
    assert_eq!(table.close(owner, true), waits(&[THREAD]));
    assert!(
        table
            .take_local(THREAD, |_, phase| phase == Phase::Used)
            .is_none()
    );
    assert!(
        table
            .take_local(THREAD, |_, phase| phase == Phase::Retired)
            .is_some()
    );
    assert_eq!(table.close(owner, true), waits(&[THREAD]), "it is running");
    table.destroyed(THREAD, owner);
    assert_eq!(table.close(owner, true), Ok(()));
}

#[test]
fn a_value_stands_in_the_way_while_it_is_set() {
    let (mut table, owner) = table();
    let key = table.new_key(Owner::PROCESS, Some(destructor), FIRST.start);
    table.add_key(3, key.expect("it lies in the library"));
    assert_eq!(table.note_value(THREAD, 3, true), Some(true));
    assert_eq!(table.note_value(THREAD, 4, true), None);
    assert_eq!(table.close(owner, false).unwrap_err().leavings, [THREAD]);
    table.note_value(THREAD, 3, false);
    assert_eq!(table.close(owner, false), Ok(()));
    table.note_value(THREAD, 3, true);
    assert_eq!(table.take_keys(owner), [3]);
    assert_eq!(table.close(owner, false), Ok(()));
}

#[test]
fn nothing_new_is_taken_while_it_is_closed() {
    let (mut table, owner) = table();
    table.retire(owner);
    assert_eq!(table.close(owner, true), Ok(()));
    assert_eq!(add(&mut table, owner, FIRST.start), Some(false));
    let begins = table.thread_begins(FIRST.start, owner);
    assert_eq!(begins, Beginning::Refused);
    assert!(table.threads.is_empty());
    table.forget(owner);
    assert_eq!(
        add(&mut table, owner, FIRST.start),
        None,
        "others may lie there"
    );
}

#[test]
fn an_object_that_stays_takes_along_what_lies_in_it() {
    let (mut table, owner) = table();
    table.opened(owner, &[SECOND]);
    add(&mut table, owner, SECOND.start);
    let key = table.new_key(owner, None, SECOND.start);
    table.add_key(3, key.expect("it lies in the library"));
    table.keep(SECOND.start);
    assert_eq!(table.close(owner, true), Ok(()));
    assert_eq!(table.take_keys(owner), [0; 0]);
    assert_eq!(taken(&mut table), [SECOND.start]);
}

#[test]
fn what_comes_after_the_end_of_its_thread_is_lost() {
    let (mut table, owner) = table();
    let local = (destructor as Destructor, std::ptr::null_mut(), FIRST.start);
    assert_eq!(table.add_local(None, owner, local), Some(false));
    assert_eq!(table.close(owner, true), Ok(()));
}
