//! The list of what is refused, and why.

use std::process;

use libc::c_long;
use octa_wire::Sandbox;

use super::program::{Refused, When};

/// What reaches into other processes, changes the system for all, or has been a way out of
/// sandboxes; much of it asks for privileges that this process has given up already.
const NEVER: &[c_long] = &[
    // Other processes: their memory, their files, their ends.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Memory, messages and semaphores that the processes of a user share without a file.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    // Files by a number instead of a path.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Programs, watches and keys inside the system's kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
];

/// What changes owners, modes, attributes and times. Landlock does not know these; a process that
/// may write nothing has no use for them.
const METADATA: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_utimensat,
];

/// Calls that x86-64 alone still has.
#[cfg(target_arch = "x86_64")]
mod old {
    use libc::c_long;

    pub(super) const NEVER: &[c_long] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
    pub(super) const METADATA: &[c_long] = &[
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
    ];
    pub(super) const PROCESSES: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
}

#[cfg(not(target_arch = "x86_64"))]
mod old {
    use libc::c_long;

    pub(super) const NEVER: &[c_long] = &[];
    pub(super) const METADATA: &[c_long] = &[];
    pub(super) const PROCESSES: &[c_long] = &[];
}

// Not known to all C libraries; the same numbers on all processors, but for the last.
const QUOTACTL_FD: c_long = 443;
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_SETATTR: c_long = 469;
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = 320;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: c_long = 294;

const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
const TIOCLINUX: u32 = 0x541c;
const F_SETOWN_EX: u32 = 15;

/// All that this sandbox refuses.
pub(super) fn refused(sandbox: &Sandbox, unix_sockets: bool) -> Refused {
    let mut refused = Refused::default();
    let own = process::id();
    refused.always(NEVER);
    refused.always(old::NEVER);
    if sandbox.write.is_empty() {
        refused.always(METADATA);
        refused.always(old::METADATA);
    }
    // What goes through a ring is not seen by filters. Runtimes do without.
    refused.unknown(&[
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ]);
    processes(&mut refused, sandbox.exec, own);
    scheduling(&mut refused, own);
    itself(&mut refused, own);
    sockets(&mut refused, sandbox.network, unix_sockets);
    refused
}

fn processes(refused: &mut Refused, exec: bool, own: u32) {
    // Its arguments lie in memory, which no filter sees; the C library then takes the older one.
    refused.unknown(&[libc::SYS_clone3]);
    for namespace in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ] {
        refused.when(
            libc::SYS_clone,
            &[bits(0, namespace as u32, namespace as u32)],
        );
    }
    if exec {
        // Children have numbers that nobody knows now: that they are signalled and no others is
        // left to Landlock.
        return;
    }
    refused.always(old::PROCESSES);
    refused.always(&[
        libc::SYS_execve,
        libc::SYS_execveat,
        // It stays in the group of processes that is ended with it.
        libc::SYS_setsid,
        libc::SYS_setpgid,
        libc::SYS_pidfd_send_signal,
    ]);
    // By the number of a thread alone, of any process.
    #[cfg(not(target_env = "musl"))]
    refused.always(&[libc::SYS_tkill]);
    // A thread is a process that shares all.
    refused.when(libc::SYS_clone, &[bits(0, libc::CLONE_THREAD as u32, 0)]);
    for signal in [
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
    ] {
        refused.when(signal, &[When::IsNot(0, own)]);
    }
    let pdeathsig = libc::PR_SET_PDEATHSIG as u32;
    refused.when(libc::SYS_prctl, &[When::Is(0, pdeathsig)]);
}

/// Whose turn it is on the processor, and what others may use: only for itself.
fn scheduling(refused: &mut Refused, own: u32) {
    for call in [
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
    ] {
        refused.when(call, &[When::IsNot(0, 0), When::IsNot(0, own)]);
    }
    // Which of the numbers that follow them mean one process.
    const PRIO_PROCESS: u32 = 0;
    const IOPRIO_WHO_PROCESS: u32 = 1;
    for (call, process) in [
        (libc::SYS_setpriority, PRIO_PROCESS),
        (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS),
    ] {
        refused.when(call, &[When::IsNot(0, process)]);
        refused.when(call, &[When::IsNot(1, 0), When::IsNot(1, own)]);
    }
    let limits = [When::IsNot(0, 0), When::IsNot(0, own), When::Given(2)];
    refused.when(libc::SYS_prlimit64, &limits);
}

/// What would undo a part of the sandbox, or send signals and keys by detours.
fn itself(refused: &mut Refused, own: u32) {
    for option in [libc::PR_SET_DUMPABLE, libc::PR_SET_PTRACER] {
        refused.when(libc::SYS_prctl, &[When::Is(0, option as u32)]);
    }
    let owner = [When::Is(1, libc::F_SETOWN as u32), When::IsNot(2, own)];
    refused.when(libc::SYS_fcntl, &owner);
    refused.when(libc::SYS_fcntl, &[When::Is(1, F_SETOWN_EX)]);
    for command in [libc::TIOCSTI as u32, TIOCLINUX, FIOSETOWN, SIOCSPGRP] {
        refused.when(libc::SYS_ioctl, &[When::Is(1, command)]);
    }
}

fn sockets(refused: &mut Refused, network: bool, unix_sockets: bool) {
    const TYPE: u32 = 0xf;
    let unix = libc::AF_UNIX as u32;
    match (network, unix_sockets) {
        (true, true) => return,
        (true, false) => refused.when(libc::SYS_socket, &[When::Is(0, unix)]),
        (false, true) => refused.when(libc::SYS_socket, &[When::IsNot(0, unix)]),
        (false, false) => refused.always(&[libc::SYS_socket]),
    }
    if !network {
        refused.when(libc::SYS_socketpair, &[When::IsNot(0, unix)]);
    }
    if !unix_sockets {
        // Each end of such a pair can send to any socket, not only to the other end.
        let datagrams = bits(1, TYPE, libc::SOCK_DGRAM as u32);
        refused.when(libc::SYS_socketpair, &[When::Is(0, unix), datagrams]);
    }
}

#[cfg(test)]
pub(in crate::confine) fn whatever_the_arguments() -> impl Iterator<Item = c_long> {
    let lists = [NEVER, METADATA, old::NEVER, old::METADATA];
    lists.into_iter().flatten().copied()
}

fn bits(argument: u8, mask: u32, are: u32) -> When {
    When::Bits {
        argument,
        mask,
        are,
    }
}
