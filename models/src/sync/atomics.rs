//! Atomics that order what is sequentially consistent.
//!
//! The checker takes such accesses for ones that only acquire and release, but understands fences.
//! So each has a full fence before it, as compilers make it for processors that have nothing
//! better (POWER): the weakest way that the language allows.

use loom::sync::atomic::{self, Ordering, fence};

fn in_order(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst {
        fence(order);
    }
    order
}

macro_rules! atomic {
    ($name:ident of $value:ty { $($method:ident($($argument:ident),*) -> $result:ty;)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            $(#[track_caller]
            pub(crate) fn $method(&self, $($argument: $value,)* order: Ordering) -> $result {
                self.0.$method($($argument,)* in_order(order))
            })*
        }
    };
}

atomic!(AtomicBool of bool {
    load() -> bool;
    store(value) -> ();
    swap(value) -> bool;
});

atomic!(AtomicU8 of u8 {
    load() -> u8;
    store(value) -> ();
});

atomic!(AtomicU64 of u64 {
    load() -> u64;
    store(value) -> ();
    swap(value) -> u64;
    fetch_add(value) -> u64;
});

atomic!(AtomicUsize of usize {
    load() -> usize;
    fetch_add(value) -> usize;
    fetch_or(value) -> usize;
    fetch_sub(value) -> usize;
});

macro_rules! exchanging {
    ($name:ident of $value:ty) => {
        impl $name {
            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let success = in_order(success);
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

exchanging!(AtomicU8 of u8);
exchanging!(AtomicU64 of u64);
exchanging!(AtomicUsize of usize);

macro_rules! updating {
    ($name:ident of $value:ty) => {
        impl $name {
            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut found = self.load(failure);
                while let Some(new) = next(found) {
                    match self.compare_exchange(found, new, success, failure) {
                        Ok(old) => return Ok(old),
                        Err(other) => found = other,
                    }
                }
                Err(found)
            }
        }
    };
}

updating!(AtomicU64 of u64);
updating!(AtomicUsize of usize);
