//! Places for futures of plugins: blocks of one size, kept by the thread that used them last.

use std::{alloc::Layout, cell::RefCell, fmt, mem::MaybeUninit};

use octa_plugin_abi as abi;

/// How large a future may be to need no allocation of its own, in bytes.
const SIZE: usize = 1024;
/// How many free places a thread keeps.
const KEPT: usize = 8;

#[repr(align(64))]
struct Block(MaybeUninit<[u8; SIZE]>);

/// A place for one future, at an address that stays.
pub(crate) struct Slot(Box<Block>);

thread_local! {
    static FREE: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

impl Slot {
    /// Takes a place, a used one if this thread has one.
    pub(crate) fn take() -> Self {
        let kept = FREE.try_with(|free| free.borrow_mut().pop()).ok().flatten();
        kept.unwrap_or_else(|| Self(Box::new(Block(MaybeUninit::uninit()))))
    }

    /// Gives the place back to this thread.
    pub(crate) fn give_back(self) {
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(self);
            }
        });
    }

    pub(crate) fn as_abi(&mut self) -> abi::Slot {
        let layout = Layout::new::<Block>();
        abi::Slot {
            data: self.0.0.as_mut_ptr().cast(),
            size: SIZE,
            align: layout.align(),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}
