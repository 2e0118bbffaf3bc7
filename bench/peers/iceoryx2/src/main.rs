//! iceoryx2: loan, fill, send; receive, read in place, drop. A reader that sleeps has a listener.
//! The writer notifies the listener after each message, as iceoryx2's event service is meant.

mod measure;
mod message;

use core::time::Duration;
use iceoryx2::port::{listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use iceoryx2::sample::Sample;
use iceoryx2::service::port_factory::{event, publish_subscribe};
use measure::{batch_of, die, log_event, rendezvous, ticks, wait_for_end, Clock, Options, Rate};
use message::{Message, LAST};

type Ipc = ipc::Service;
type Service = publish_subscribe::PortFactory<Ipc, [u8], ()>;

fn must<T, E: core::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| die(&format!("iceoryx2: {error:?}")))
}

/// The directory of the measurement has all files except the shared memory, which a prefix names.
fn node() -> Node<Ipc> {
    let place = std::env::var("DATABLOCK_DIR").unwrap_or_else(|_| die("DATABLOCK_DIR is not set"));
    let unique = place.rsplit('/').next().unwrap_or(&place);
    let mut config = Config::default();
    config.global.prefix = must(FileName::new(format!("{unique}_").as_bytes()));
    config.global.set_root_path(&must(Path::new(place.as_bytes())));
    must(NodeBuilder::new().config(&config).signal_handling_mode(SignalHandlingMode::Disabled).create())
}

fn service(node: &Node<Ipc>, name: &str, options: &Options) -> Service {
    let slots = options.whole("slots") as usize;
    let name = must(ServiceName::new(name));
    let builder = node.service_builder(&name).publish_subscribe::<[u8]>();
    let settings = builder.enable_safe_overflow(false).history_size(0).subscriber_max_buffer_size(slots);
    // A program that was killed takes a place until its node is cleaned.
    must(settings.max_publishers(2).max_subscribers(2).max_nodes(8).open_or_create())
}

fn event(node: &Node<Ipc>, name: &str) -> event::PortFactory<Ipc> {
    must(node.service_builder(&must(ServiceName::new(name))).event().open_or_create())
}

struct Out {
    publisher: Publisher<Ipc, [u8], ()>,
    notifier: Option<Notifier<Ipc>>,
    service: Service,
    event: Option<event::PortFactory<Ipc>>,
    _node: Node<Ipc>,
}

struct In {
    subscriber: Subscriber<Ipc, [u8], ()>,
    service: Service,
    listener: Option<Listener<Ipc>>,
    _node: Node<Ipc>,
}

impl Out {
    fn open(name: &str, options: &Options) -> Out {
        let node = node();
        let service = service(&node, name, options);
        let builder = service.publisher_builder().initial_max_slice_len(options.whole("size") as usize);
        let strategy = BackpressureStrategy::RetryUntilDelivered;
        let publisher = must(builder.backpressure_strategy(strategy).create());
        let event = (options.whole("block") != 0).then(|| event(&node, name));
        let notifier = event.as_ref().map(|event| must(event.notifier_builder().create()));
        Out { publisher, notifier, service, event, _node: node }
    }

    /// A publisher without a subscriber drops its messages.
    fn connect(&self) {
        while self.service.dynamic_config().number_of_subscribers() == 0
            || self.event.as_ref().is_some_and(|event| event.dynamic_config().number_of_listeners() == 0)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[inline(always)]
    fn send(&self, message: &Message) {
        let mut loan = must(self.publisher.loan_slice_uninit(message.size()));
        let payload = loan.payload_mut().as_mut_ptr().cast();
        let loan = unsafe {
            core::ptr::copy_nonoverlapping(message.source(), payload, message.size());
            loan.assume_init()
        };
        must(loan.send());
        if let Some(notifier) = &self.notifier {
            must(notifier.notify());
        }
    }

    /// Loans memory, and writes half of it.
    fn stop(&self, message: &Message) -> ! {
        let mut loan = must(self.publisher.loan_slice_uninit(message.size()));
        let payload = loan.payload_mut().as_mut_ptr().cast();
        unsafe { core::ptr::copy_nonoverlapping(message.source(), payload, message.size() / 2) };
        log_event("stopped", message.sent);
        loop {
            std::thread::park();
        }
    }
}

impl In {
    fn open(name: &str, options: &Options) -> In {
        let node = node();
        let service = service(&node, name, options);
        let slots = options.whole("slots") as usize;
        let subscriber = must(service.subscriber_builder().buffer_size(slots).create());
        let listener = (options.whole("block") != 0).then(|| must(event(&node, name).listener_builder().create()));
        In { subscriber, service, listener, _node: node }
    }

    /// A subscriber connects to a publisher when it receives. Before that the publisher drops what
    /// the buffer cannot take. Nothing is sent before both sides are ready.
    fn connect(&self) {
        while self.service.dynamic_config().number_of_publishers() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        if must(self.subscriber.receive()).is_some() {
            die("a message came before the start");
        }
    }

    #[inline(always)]
    fn take(&self) -> Sample<Ipc, [u8], ()> {
        loop {
            if let Some(sample) = must(self.subscriber.receive()) {
                return sample;
            }
            if let Some(listener) = &self.listener {
                must(listener.blocking_wait(|_| {}));
            }
        }
    }

    #[inline(always)]
    fn receive(&self, message: &mut Message) {
        let sample = self.take();
        let payload = sample.payload();
        if payload.len() != message.size() {
            die(&format!("a message of {} bytes instead of {}", payload.len(), message.size()));
        }
        unsafe { core::ptr::copy_nonoverlapping(payload.as_ptr(), message.target(), message.size()) };
    }

    fn stop(&self, number: u64) -> ! {
        let _held = self.take();
        log_event("stopped", number);
        loop {
            std::thread::park();
        }
    }
}

fn send_next(out: &Out, message: &mut Message) {
    message.sent += 1;
    message.stamp(message.sent);
    out.send(message);
}

fn send_last(out: &Out, message: &mut Message) {
    message.stamp(LAST);
    out.send(message);
}

fn receive_next(input: &In, message: &mut Message) -> bool {
    input.receive(message);
    message.check()
}

fn pong(options: &Options) {
    let first = options.whole("side") == 0;
    let clock = Clock::of(options);
    let mut message = Message::of(options.whole("size") as usize);
    let (there, back) = if first { ("there", "back") } else { ("back", "there") };
    let (out, input) = (Out::open(there, options), In::open(back, options));
    out.connect();
    input.connect();
    if first {
        clock.round_trips(options, || {
            send_next(&out, &mut message);
            receive_next(&input, &mut message);
        });
        send_last(&out, &mut message);
        clock.answer_samples();
    } else {
        rendezvous();
        while receive_next(&input, &mut message) {
            if clock.rests() {
                clock.rest(ticks());
            }
            send_next(&out, &mut message);
        }
    }
    wait_for_end();
}

fn produce(options: &Options) {
    let clock = Clock::of(options);
    let mut message = Message::of(options.whole("size") as usize);
    let out = Out::open("stream", options);
    out.connect();
    rendezvous();
    let begun = ticks();
    let end = clock.end(begun);
    while ticks() < end {
        for _ in 0..batch_of(message.size()) {
            send_next(&out, &mut message);
        }
    }
    send_last(&out, &mut message);
    clock.answer_rate(message.sent, ticks() - begun);
    wait_for_end();
}

fn consume(options: &Options) {
    let clock = Clock::of(options);
    let mut message = Message::of(options.whole("size") as usize);
    let input = In::open("stream", options);
    input.connect();
    let mut rate = Rate::default();
    rendezvous();
    while receive_next(&input, &mut message) {
        rate.messages += 1;
        if rate.messages % batch_of(message.size()) == 0 {
            rate.look(&clock);
        }
    }
    rate.answer(&clock);
}

fn write(options: &Options) {
    let mut message = Message::of(options.whole("size") as usize);
    let stop = options.whole("stop");
    let out = Out::open("survival", options);
    message.sent = options.whole("after");
    log_event("open", 0);
    out.connect();
    loop {
        if message.sent + 1 == stop {
            message.stamp(stop);
            message.sent = stop;
            out.stop(&message);
        }
        send_next(&out, &mut message);
        log_event("sent", message.sent);
        std::thread::sleep(Duration::from_micros(options.whole("pace_us")));
    }
}

fn read(options: &Options) {
    let mut message = Message::of(options.whole("size") as usize);
    let stop = options.whole("stop");
    let input = In::open("survival", options);
    log_event("open", 0);
    loop {
        if message.received + 1 == stop {
            input.stop(stop);
        }
        input.receive(&mut message);
        message.received = message.whole();
        log_event("received", message.received);
    }
}

fn main() {
    set_log_level(LogLevel::Error);
    let (role, options) = Options::given();
    match role.as_str() {
        "pong" => pong(&options),
        "produce" => produce(&options),
        "consume" => consume(&options),
        "write" => write(&options),
        "read" => read(&options),
        _ => die(&format!("no such role: {role}")),
    }
}
