//! Makes a program for seccomp of what is refused, and installs it.

use std::{collections::BTreeMap, env};

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, apply_filter_all_threads, sock_filter,
};

/// What an argument of a call has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// This number of 32 bits.
    Is(u8, u32),
    /// Another one.
    IsNot(u8, u32),
    /// Of these bits, exactly those.
    Bits {
        /// Which argument.
        argument: u8,
        /// Which bits count.
        mask: u32,
        /// What they have to be.
        are: u32,
    },
    /// Anything but a null pointer.
    Given(u8),
}

impl When {
    fn condition(self) -> Result<SeccompCondition, BackendError> {
        let word = SeccompCmpArgLen::Dword;
        match self {
            Self::Is(argument, number) => {
                SeccompCondition::new(argument, word, SeccompCmpOp::Eq, number.into())
            }
            Self::IsNot(argument, number) => {
                SeccompCondition::new(argument, word, SeccompCmpOp::Ne, number.into())
            }
            Self::Bits {
                argument,
                mask,
                are,
            } => {
                let bits = SeccompCmpOp::MaskedEq(mask.into());
                SeccompCondition::new(argument, word, bits, are.into())
            }
            Self::Given(argument) => {
                SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)
            }
        }
    }
}

/// Calls that are refused; each of their lists has to hold as a whole, an empty one always does.
#[derive(Debug, Default)]
pub(super) struct Refused {
    forbidden: BTreeMap<c_long, Vec<Vec<When>>>,
    unknown: Vec<c_long>,
}

impl Refused {
    /// Answers EPERM.
    pub(super) fn always(&mut self, calls: &[c_long]) {
        for call in calls {
            self.when(*call, &[]);
        }
    }

    /// Answers EPERM if all of that holds.
    pub(super) fn when(&mut self, call: c_long, conditions: &[When]) {
        let lists = self.forbidden.entry(call).or_default();
        lists.push(conditions.to_vec());
    }

    /// Answers ENOSYS.
    pub(super) fn unknown(&mut self, calls: &[c_long]) {
        self.unknown.extend(calls);
    }
}

/// Installs it in all threads of this process.
pub(super) fn install(refused: &Refused) -> Result<(), Error> {
    let unknown = refused.unknown.iter().map(|call| (*call, Vec::new()));
    let unknown = compile(unknown.collect(), libc::ENOSYS)?;
    let mut forbidden = BTreeMap::new();
    for (call, lists) in &refused.forbidden {
        forbidden.insert(*call, rules(lists)?);
    }
    let mut program = other_numbers();
    program.extend(compile(forbidden, libc::EPERM)?);
    apply_filter_all_threads(&unknown)?;
    apply_filter_all_threads(&program)
}

fn compile(rules: BTreeMap<c_long, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    let refusal = SeccompAction::Errno(errno as u32);
    // Calls by the numbers of another processor end the process.
    let processor = env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, processor)?;
    Ok(filter.try_into()?)
}

/// No rules match always.
fn rules(lists: &[Vec<When>]) -> Result<Vec<SeccompRule>, BackendError> {
    if lists.iter().any(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let rule = |list: &Vec<When>| {
        let conditions: Result<_, _> = list.iter().map(|when| when.condition()).collect();
        SeccompRule::new(conditions?)
    };
    lists.iter().map(rule).collect()
}

/// Stands before the rules: refuses the calls of x32, which are those of x86-64 by other numbers.
fn other_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    vec![
        // The number of the call.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, refusal),
    ]
}
