//! The consumer of docs/getting-started.md: the average of the thermometer's readings.
//!
//!     cargo run --example average [READINGS]

use datablock::{ConsumerOptions, Delivery, Timeout};

datablock::record! {
    struct Reading { seconds: f64, celsius: f64 }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limit = std::env::args().nth(1).map_or(Ok(usize::MAX), |limit| limit.parse())?;
    let options = ConsumerOptions::new().delivery(Delivery::Lossless).name("average");
    let consumer = options.open("temperature")?;
    let (mut count, mut total, mut until) = (0u32, 0.0, 0.0);
    for message in consumer.messages(Timeout::FOREVER).take(limit) {
        let message = message?; // in place, released when it is dropped
        let reading: &Reading = message.value()?;
        if count == 0 {
            eprintln!("average: from reading {}", message.id());
        }
        (count, total, until) = (count + 1, total + reading.celsius, reading.seconds);
    }
    if count == 0 {
        return Err("the thermometer is off".into());
    }
    println!("{count} readings up to {until:.2} s, {:.1} degrees on average", total / f64::from(count));
    Ok(())
}
