//! Atomics that order what is sequentially consistent.
//!
//! The checker takes such accesses for ones that only acquire and release, but understands fences.
//! Compilers for processors that have nothing better (POWER) put a full fence before each such
//! access, or after each that writes. The language allows both, so what is right is right under
//! both: each model runs with the [one and the other](Fences).
//!
//! The checker also lets a store come before a swap that was there first and read what was before
//! both, which no processor does. So a store is a swap here, whose result nobody gets.

use std::sync::atomic::AtomicBool as Hidden;

use loom::sync::atomic::{self, Ordering, fence};

/// Where the fences are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    Before,
    After,
}

static ARE_BEFORE: Hidden = Hidden::new(true);

impl Fences {
    /// Puts them there from now on.
    pub(crate) fn put(self) {
        ARE_BEFORE.store(self == Self::Before, Ordering::Relaxed);
    }

    fn are_before() -> bool {
        ARE_BEFORE.load(Ordering::Relaxed)
    }
}

fn before(order: Ordering) {
    if order == Ordering::SeqCst && Fences::are_before() {
        fence(order);
    }
}

fn after_writing(order: Ordering) {
    if order == Ordering::SeqCst && !Fences::are_before() {
        fence(order);
    }
}

/// How that which only stores is ordered, fences aside.
fn releasing(order: Ordering) -> Ordering {
    match order {
        Ordering::Relaxed => Ordering::Relaxed,
        _ => Ordering::Release,
    }
}

macro_rules! atomic {
    ($name:ident of $value:ty { $($method:ident)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                before(order);
                self.0.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                before(order);
                self.0.swap(value, releasing(order));
                after_writing(order);
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                before(success);
                let exchanged = self.0.compare_exchange(current, new, success, failure);
                if exchanged.is_ok() {
                    after_writing(success);
                }
                exchanged
            }

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

            $(#[track_caller]
            pub(crate) fn $method(&self, value: $value, order: Ordering) -> $value {
                before(order);
                let old = self.0.$method(value, order);
                after_writing(order);
                old
            })*
        }
    };
}

atomic!(AtomicBool of bool { swap });
atomic!(AtomicU8 of u8 { swap });
atomic!(AtomicU64 of u64 { swap fetch_add fetch_sub });
atomic!(AtomicUsize of usize { swap fetch_add fetch_or fetch_sub });
