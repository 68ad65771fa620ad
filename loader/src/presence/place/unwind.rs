//! Follows a stack from frame to frame, as the libraries say how for the sake of panics.
//!
//! Of the registers only two are known: the stack and the next instruction. Where a function finds
//! its frame by a third, which nobody has saved further in, its frame is looked for on the stack:
//! it is where the way back is to behind a call of this very function.

use std::{collections::HashMap, fs::File, path::Path};

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EndianSlice, NativeEndian, Register, RegisterRule,
    UnwindContext, UnwindSection as _,
};
use object::{Object as _, ObjectSection as _, ReadCache};

use super::{
    memory::{self, Maps},
    symbols::Header,
};

/// How many frames are followed.
const FRAMES: usize = 128;
/// How far a frame is looked for, in bytes.
const FRAME_BYTES: usize = 64 * 1024;

/// The registers that matter: the stack, the frame, the way back.
#[cfg(target_arch = "aarch64")]
const REGISTERS: [Register; 3] = [Register(31), Register(29), Register(30)];
#[cfg(not(target_arch = "aarch64"))]
const REGISTERS: [Register; 3] = [Register(7), Register(6), Register(16)];

/// What is known of a thread in one frame.
#[derive(Debug, Clone, Copy)]
struct Frame {
    next: usize,
    stack: usize,
    frame: Option<usize>,
}

/// The code of a file, and how to leave its functions.
struct Guide {
    /// The bytes that say so, and the address of their first, in the file's own terms.
    frames: Vec<u8>,
    address: u64,
    text: u64,
    /// Where in the file code begins that has this address.
    segments: Vec<(u64, u64, u64)>,
}

/// Where a thread that waits is in each of its frames, from the innermost on, until it is out of
/// the code of `library` again.
pub(super) fn addresses(maps: &Maps, library: &Path, next: usize, stack: usize) -> Vec<usize> {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Vec::new();
    }
    let mut guides = HashMap::new();
    let (mut addresses, mut was_inside) = (Vec::new(), false);
    let (mut at, mut frame) = (
        next,
        Frame {
            next,
            stack,
            frame: None,
        },
    );
    while addresses.len() < FRAMES {
        let Some((file, mapping)) = maps.code_at(at) else {
            break;
        };
        let is_inside = file == library;
        if was_inside && !is_inside {
            break;
        }
        was_inside = is_inside;
        addresses.push(at);
        let guide = guides
            .entry(file.to_owned())
            .or_insert_with(|| Guide::read(file));
        let offset = mapping.offset + (at - mapping.span.start) as u64;
        let outer = guide.as_ref().and_then(|it| it.leave(at, offset, &frame));
        // Outwards is up, or somebody lies.
        let Some(outer) = outer.filter(|outer| outer.stack > frame.stack) else {
            break;
        };
        frame = outer;
        // A call is before the place that it returns to.
        at = frame.next.saturating_sub(1);
    }
    addresses
}

impl Guide {
    fn read(file: &Path) -> Option<Self> {
        let cache = ReadCache::new(File::open(file).ok()?);
        let file = object::read::elf::ElfFile::<Header, _>::parse(&cache).ok()?;
        let frames = file.section_by_name(".eh_frame")?;
        let text = file.section_by_name(".text")?;
        let segments = object::Object::segments(&file).map(|segment| {
            let (offset, size) = object::ObjectSegment::file_range(&segment);
            (offset, size, object::ObjectSegment::address(&segment))
        });
        Some(Self {
            frames: frames.data().ok()?.to_vec(),
            address: frames.address(),
            text: text.address(),
            segments: segments.collect(),
        })
    }

    fn address_of(&self, offset: u64) -> Option<u64> {
        let mut segments = self.segments.iter();
        let is_in = |it: &&(u64, u64, u64)| (it.0..it.0 + it.1).contains(&offset);
        let (begin, _, address) = segments.find(is_in)?;
        Some(address + (offset - begin))
    }

    /// The frame that called this one, which is at that instruction; its place in the file is
    /// `offset`.
    fn leave(&self, at: usize, offset: u64, frame: &Frame) -> Option<Frame> {
        let address = self.address_of(offset)?;
        let section = EhFrame::from(EndianSlice::new(&self.frames, NativeEndian));
        let bases = BaseAddresses::default()
            .set_eh_frame(self.address)
            .set_text(self.text);
        let function = section.fde_for_address(&bases, address, EhFrame::cie_from_offset);
        let function = function.ok()?;
        let mut context = UnwindContext::new();
        let row = function.unwind_info_for_address(&section, &bases, &mut context, address);
        let row = row.ok()?;
        let begin = at - usize::try_from(address - function.initial_address()).ok()?;
        let [stack, base, back] = REGISTERS;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
            return None;
        };
        let from = match *register {
            it if it == stack => frame.stack,
            it if it == base => frame.frame.or_else(|| find_base(frame.stack, begin))?,
            _ => return None,
        };
        let outer = from.checked_add_signed(isize::try_from(*offset).ok()?)?;
        let saved = |register| match row.register(register)? {
            RegisterRule::Offset(offset) => {
                let at = outer.checked_add_signed(isize::try_from(offset).ok()?)?;
                memory::bytes(at).map(usize::from_ne_bytes)
            }
            _ => None,
        };
        let is_kept = matches!(row.register(base), None | Some(RegisterRule::SameValue));
        Some(Frame {
            next: saved(back)?,
            stack: outer,
            frame: if is_kept { frame.frame } else { saved(base) },
        })
    }
}

/// Where the frame lies of the function that begins there: where its caller's frame was saved, and
/// above that the way back.
fn find_base(stack: usize, function: usize) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    // Less where the stack ends before.
    let words =
        (0..4).find_map(|halved| memory::words(stack..stack + (FRAME_BYTES >> (2 * halved))));
    let words = words?;
    let mut pairs = words.windows(2).enumerate();
    let is_back = |(_, pair): &(usize, &[usize])| calls(pair[1], function);
    let (index, _) = pairs.find(is_back)?;
    Some(stack + index * WORD)
}

/// Whether what lies before this address calls that function.
fn calls(back: usize, function: usize) -> bool {
    let Some(start) = back.checked_sub(6) else {
        return false;
    };
    let Some(code) = memory::bytes::<6>(start) else {
        return false;
    };
    let [.., a, b, c, d] = code;
    let target = back.checked_add_signed(i32::from_le_bytes([a, b, c, d]) as isize);
    match code {
        // By the distance, or by what lies at one.
        [_, 0xe8, ..] if target == Some(function) => true,
        [0xff, 0x15, ..] => {
            let word = target.and_then(memory::bytes);
            word.map(usize::from_ne_bytes) == Some(function)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_way_back_is_behind_a_call_of_the_very_function() {
        let check = |code: [u8; 6], function: isize, expect: bool| {
            let code = std::hint::black_box(code);
            let back = code.as_ptr_range().end.addr();
            let function = back.wrapping_add_signed(function);
            assert_eq!(calls(back, function), expect, "{code:x?}");
        };
        check([0x90, 0xe8, 0, 1, 0, 0], 256, true);
        check([0x90, 0xe8, 0, 1, 0, 0], 255, false);
        check([0x90, 0xe9, 0, 1, 0, 0], 256, false);
        check([0x90, 0xe8, 0xf0, 0xff, 0xff, 0xff], -16, true);
        assert!(!calls(3, 3));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_thread_that_waits_is_followed_through_who_called() {
        use std::{hint::black_box, sync::mpsc, thread, thread::yield_now};

        use crate::{
            presence::place::{symbols::Code, task::Task},
            sys::thread_number,
        };

        #[inline(never)]
        fn inner(tell: &mpsc::Sender<u64>, released: &mpsc::Receiver<()>) {
            tell.send(thread_number().expect("a number"))
                .expect("somebody listens");
            let _ = black_box(released.recv());
        }
        #[inline(never)]
        fn middle(tell: &mpsc::Sender<u64>, released: &mpsc::Receiver<()>) {
            inner(tell, released);
            black_box(());
        }
        #[inline(never)]
        fn outer(tell: &mpsc::Sender<u64>, released: &mpsc::Receiver<()>) {
            middle(tell, released);
            black_box(());
        }

        let (tell, told) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let thread = thread::spawn(move || outer(&tell, &released));
        let number = told.recv().expect("a number");
        let (stack, next) = loop {
            match Task::read(number) {
                Some(Task::Waits {
                    call: Some(_),
                    stack,
                    next,
                }) => break (stack, next),
                _ => yield_now(),
            }
        };
        let maps = Maps::read().expect("maps");
        let here = std::env::current_exe().expect("a program");
        let code = Code::read(&here, maps.code_of(&here)).expect("a program");
        let addresses = addresses(&maps, &here, next, stack).into_iter();
        let names: Vec<_> = addresses.filter_map(|it| code.function_at(it)).collect();
        let short = |name: &String| name.rsplit("::").next().unwrap_or_default().to_owned();
        let short: Vec<_> = names.iter().map(short).collect();
        let mut three = short.windows(3);
        assert!(
            three.any(|it| it == ["inner", "middle", "outer"]),
            "{names:#?}"
        );
        drop(release);
        thread.join().expect("it ends");
    }
}
