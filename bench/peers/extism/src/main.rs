//! Calls to a plugin in WebAssembly, with Extism: 64 bytes there and back, as they are. How often
//! it is to call is read line by line; what so many calls took, one after the other, is printed in
//! nanoseconds.

use std::time::Instant;

use extism::{Error, Manifest, Plugin, Wasm};

const ECHO: &str = include_str!("echo.wat");
const BYTES: [u8; 64] = [b'x'; 64];

fn main() -> Result<(), Error> {
    let mut plugin = Plugin::new(Manifest::new([Wasm::data(ECHO)]), [], false)?;
    let mut call = || plugin.call::<&[u8], Vec<u8>>("echo", &BYTES);
    assert_eq!(call()?, BYTES);
    octa_bench_build::tell_times(|count| {
        let began = Instant::now();
        for _ in 0..count {
            call().unwrap_or_else(|error| panic!("cannot call: {error:#}"));
        }
        began.elapsed()
    });
    Ok(())
}
