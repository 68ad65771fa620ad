//! The plugin's handle on its host: operations as futures, tasks, log lines.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use octa_plugin_abi::{self as abi, code, status};

use crate::{
    Payload,
    call::CallInfo,
    error::{Error, ErrorKind, Result},
    waker::lend_waker,
    work::{Answer, boxed, empty_reply, read_reply},
};

/// A counted reference to the host. Works from any thread, and after the instance is gone.
pub(crate) struct HostHandle(abi::Host);

// SAFETY: every function of the host may be called on any thread (`abi::HostFunctions`).
unsafe impl Send for HostHandle {}
// SAFETY: as for `Send`.
unsafe impl Sync for HostHandle {}

impl HostHandle {
    /// Takes over a handle that came with `create`.
    ///
    /// # Safety
    ///
    /// The handle is as `abi::Host` describes it, and its reference is the caller's to give.
    pub(crate) unsafe fn from_abi(host: abi::Host) -> Self {
        Self(host)
    }

    pub(crate) fn functions(&self) -> abi::HostFunctions_Ref {
        self.0.functions
    }

    /// Whether both are handles on the same host.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.data, other.0.data)
    }

    pub(crate) fn log(&self, record: &abi::LogRecord<'_>) {
        self.0.functions.log()(self.0.data, record);
    }

    /// Hands a future to the host's pool; answers the task's id.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Result<u64> {
        let future = boxed(async move {
            future.await;
            Answer::from(Ok(Payload::empty()))
        });
        let mut task = 0;
        match self.0.functions.spawn()(self.0.data, future, &mut task) {
            code::OK => Ok(task),
            code => Err(Error::new(
                ErrorKind::from_code(code),
                "the task was not taken",
            )),
        }
    }

    fn submit(&self, ask: &Ask<'_>, waker: &Waker, operation: &mut u64) -> Poll<Answer> {
        let request = abi::Request {
            operation: ask.operation,
            flags: ask.flags,
            number: ask.number,
            target: ask.target.into(),
            key: ask.key.into(),
            payload: ask.payload.as_abi(),
            envelope: ask.info.envelope(),
        };
        self.answer(operation, |reply, operation| {
            lend_waker(waker, |waker| {
                self.0.functions.submit()(self.0.data, &request, waker, reply, operation)
            })
        })
    }

    fn poll(&self, operation: u64, waker: &Waker) -> Poll<Answer> {
        self.answer(&mut { operation }, |reply, operation| {
            lend_waker(waker, |waker| {
                self.0.functions.poll()(self.0.data, *operation, waker, reply)
            })
        })
    }

    fn answer(
        &self,
        operation: &mut u64,
        asked: impl FnOnce(&mut abi::Reply, &mut u64) -> u32,
    ) -> Poll<Answer> {
        let mut reply = empty_reply();
        match asked(&mut reply, operation) {
            status::PENDING => Poll::Pending,
            status::READY => Poll::Ready(read_reply(reply)),
            other => {
                drop(read_reply(reply));
                self.cancel(*operation);
                let message =
                    format!("the host answered with status {other}, which is not known here");
                Poll::Ready(Err(Error::new(ErrorKind::Unsupported, message)).into())
            }
        }
    }

    fn cancel(&self, operation: u64) {
        self.0.functions.cancel()(self.0.data, operation);
    }
}

impl Clone for HostHandle {
    fn clone(&self) -> Self {
        self.0.functions.retain()(self.0.data);
        Self(self.0)
    }
}

impl Drop for HostHandle {
    fn drop(&mut self) {
        self.0.functions.release()(self.0.data);
    }
}

impl fmt::Debug for HostHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostHandle({:p})", self.0.data)
    }
}

/// One operation asked of the host; submitted when it is first polled, cancelled when dropped.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    host: &'a HostHandle,
    info: &'a CallInfo,
    operation: u32,
    flags: u32,
    number: u64,
    target: &'a str,
    key: &'a str,
    payload: Payload,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    New,
    Pending(u64),
    Done,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(host: &'a HostHandle, info: &'a CallInfo, operation: u32) -> Self {
        Self {
            host,
            info,
            operation,
            flags: 0,
            number: 0,
            target: "",
            key: "",
            payload: Payload::empty(),
            progress: Progress::New,
        }
    }

    pub(crate) fn target(mut self, target: &'a str) -> Self {
        self.target = target;
        self
    }

    pub(crate) fn key(mut self, key: &'a str) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    pub(crate) fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn expect(mut self, flags: u32, version: u64) -> Self {
        self.flags = flags;
        self.number = version;
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Does an operation that the host finishes at once.
    pub(crate) fn now(mut self) -> Answer {
        match Pin::new(&mut self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => Err(Error::new(
                ErrorKind::Unsupported,
                "the host did not answer at once",
            ))
            .into(),
        }
    }
}

impl Future for Ask<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let polled = match self.progress {
            Progress::New => {
                let mut operation = 0;
                let polled = self.host.submit(&self, cx.waker(), &mut operation);
                self.progress = Progress::Pending(operation);
                polled
            }
            Progress::Pending(operation) => self.host.poll(operation, cx.waker()),
            Progress::Done => panic!("polled after it was ready"),
        };
        if polled.is_ready() {
            self.progress = Progress::Done;
        }
        polled
    }
}

impl Drop for Ask<'_> {
    fn drop(&mut self) {
        if let Progress::Pending(operation) = self.progress {
            self.host.cancel(operation);
        }
    }
}
