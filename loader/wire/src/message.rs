//! What the two sides tell each other. Texts and bytes are borrowed from the frame they came in.

/// `remaining_nanos` of a call without a deadline.
pub const NO_DEADLINE: u64 = u64::MAX;

/// What can be asked of an instance beside what the ABI lists, which has the numbers below 256.
pub mod control {
    /// Lets no task of the instance go on; answered when none is under way.
    pub const FREEZE: u32 = 0x0101;
    /// Lets the tasks go on.
    pub const THAW: u32 = 0x0102;
}

/// A message of the kernel to a worker.
///
/// `id` numbers what is answered: each is used once in the life of the connection, and is
/// answered once by [`ToKernel::Answer`], also after [`Cancel`](Self::Cancel).
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker<'a> {
    /// The first message; a JSON document, [`Hello`](crate::Hello).
    Hello(&'a [u8]),
    /// Opens a library.
    Open {
        /// Answered when the library is open and its ABI checked.
        id: u64,
        /// What the kernel calls it from now on.
        generation: u32,
        /// The absolute path of a file that nobody changes.
        path: &'a str,
        /// The hash of its content, in hex.
        hash: &'a str,
        /// Its manifest, as JSON.
        manifest: &'a [u8],
    },
    /// Closes a library of which no instance is left.
    Close {
        /// Answered when it is unmapped (number 1), or is kept (number 0; the payload says why).
        id: u64,
        /// Which one.
        generation: u32,
    },
    /// Makes an instance.
    Create {
        /// Answered when it is made.
        id: u64,
        /// What the kernel calls it from now on.
        instance: u32,
        /// Of which library.
        generation: u32,
        /// The most verbose level that is wanted: 0 off, 1 error … 5 trace.
        log_level: u32,
        /// The configuration, a JSON object.
        config: &'a [u8],
    },
    /// Destroys an instance.
    Destroy {
        /// Answered when it is gone (number 1), or cannot go because its code runs (number 0).
        id: u64,
        /// Which one.
        instance: u32,
    },
    /// Calls a capability.
    Call {
        /// Answered with the outcome.
        id: u64,
        /// Of which instance.
        instance: u32,
        /// Its number in the manifest.
        handler: u32,
        /// The circumstances.
        envelope: Envelope<'a>,
        /// The input.
        payload: &'a [u8],
    },
    /// Delivers events, in order, up to the first that fails.
    Deliver {
        /// Answered with how the delivery ended; each event that was handled well is told by
        /// [`ToKernel::Handled`] before.
        id: u64,
        /// To which instance.
        instance: u32,
        /// The number of the subscription in the manifest.
        handler: u32,
        /// The events.
        events: Vec<Event<'a>>,
    },
    /// Begins no further event of a delivery.
    Cut {
        /// The delivery.
        id: u64,
    },
    /// Asks one of the `control` numbers of the ABI, or of [`control`].
    Control {
        /// Answered with the outcome.
        id: u64,
        /// Of which instance.
        instance: u32,
        /// What.
        what: u32,
        /// As `what` says.
        number: u64,
        /// As `what` says.
        payload: &'a [u8],
    },
    /// Ends a call, a delivery or a control where it stands.
    Cancel {
        /// Its number. It is answered when its code has ended, with any outcome.
        id: u64,
    },
    /// Answers a [`ToKernel::Submit`].
    Reply {
        /// Whose operation.
        instance: u32,
        /// The number of the operation.
        operation: u64,
        /// Its outcome.
        answer: Answer<'a>,
    },
    /// Lets a task that was [spawned](ToKernel::Spawned) run.
    StartTask {
        /// Whose task.
        instance: u32,
        /// The task.
        task: u64,
    },
    /// Ends a task where it stands, whether it was started or not.
    CancelTask {
        /// Whose task.
        instance: u32,
        /// The task. [`ToKernel::TaskEnded`] tells when its code has ended.
        task: u64,
    },
    /// Asks for a [`ToKernel::Pong`].
    Ping {
        /// Given back.
        number: u64,
    },
    /// Asks the process to end.
    Goodbye,
}

/// A message of a worker to the kernel.
#[derive(Debug, Clone, PartialEq)]
pub enum ToKernel<'a> {
    /// The first message; a JSON document, [`Welcome`](crate::Welcome).
    Welcome(&'a [u8]),
    /// Answers what has an `id`.
    Answer {
        /// Which one.
        id: u64,
        /// How it ended.
        answer: Answer<'a>,
    },
    /// An event of a delivery was handled well.
    Handled {
        /// The delivery.
        id: u64,
    },
    /// Starts an operation of the ABI.
    Submit {
        /// Whose.
        instance: u32,
        /// Its number: each is used once in the life of an instance.
        number: u64,
        /// Which operation.
        operation: u32,
        /// As the operation says.
        flags: u32,
        /// As the operation says.
        argument: u64,
        /// A topic, pattern, capability or namespace.
        target: &'a str,
        /// A key.
        key: &'a str,
        /// The circumstances.
        envelope: Envelope<'a>,
        /// The operation's payload.
        payload: &'a [u8],
    },
    /// Ends an operation where it stands. It is not answered any more, or just was.
    CancelOperation {
        /// Whose.
        instance: u32,
        /// Its number.
        number: u64,
    },
    /// A task was spawned; it runs when the kernel says so.
    Spawned {
        /// Whose.
        instance: u32,
        /// Its number: each is used once in the life of an instance.
        task: u64,
    },
    /// A task has ended.
    TaskEnded {
        /// Whose.
        instance: u32,
        /// Its number.
        task: u64,
        /// How.
        answer: Answer<'a>,
    },
    /// A line for the log.
    Log {
        /// Whose.
        instance: u32,
        /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
        level: u32,
        /// The line of the source, or 0.
        line: u32,
        /// The module that logs.
        target: &'a str,
        /// The text.
        message: &'a str,
        /// The file of the source, or empty.
        file: &'a str,
    },
    /// Answers a [`ToWorker::Ping`].
    Pong {
        /// As asked.
        number: u64,
    },
}

/// The circumstances of a call; see the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Envelope<'a> {
    /// Nanoseconds left, or [`NO_DEADLINE`].
    pub remaining_nanos: u64,
    /// What ties together everything that one first call or event led to; 0 for none.
    pub correlation: u128,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// Who calls.
    pub caller: &'a str,
    /// Whose handlers wait for this call, in the kernel's own notation.
    pub chain: &'a str,
    /// The W3C `traceparent`, or empty.
    pub trace: &'a str,
    /// What a provider is chosen by, or empty.
    pub routing_key: &'a str,
    /// What makes repeated calls one, or empty.
    pub idempotency_key: &'a str,
    /// A JSON object, or empty.
    pub headers: &'a [u8],
}

/// An event; see the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Event<'a> {
    /// Unique in this kernel.
    pub id: u64,
    /// Counted up by the publisher.
    pub sequence: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What ties together everything that one first call or event led to.
    pub correlation: u128,
    /// How often it was delivered before.
    pub attempt: u32,
    /// One of the codes of content types of the ABI.
    pub content_type: u32,
    /// What it is about.
    pub topic: &'a str,
    /// Who published it.
    pub source: &'a str,
    /// What it says.
    pub payload: &'a [u8],
}

/// An outcome; see `Reply` of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Answer<'a> {
    /// One of the codes of the ABI; 0 for success.
    pub code: u32,
    /// A number, where there is one to give.
    pub number: u64,
    /// The result, or the error as a JSON object.
    pub payload: &'a [u8],
    /// A JSON object, or empty.
    pub headers: &'a [u8],
}
