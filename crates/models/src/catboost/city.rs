//! CityHash64, version 1.0, which CatBoost makes numbers of categories with.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// The hash of a category.
pub(super) fn category(text: &str) -> i32 {
    hash(text.as_bytes()) as i32
}

fn hash(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => long(bytes),
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn half(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn mix(u: u64, v: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let a = shift_mix((u ^ v).wrapping_mul(MULTIPLIER));
    shift_mix((v ^ a).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER)
}

fn up_to_16(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    match n {
        9.. => {
            let (a, b) = (word(bytes, 0), word(bytes, n - 8));
            mix(a, b.wrapping_add(n as u64).rotate_right(n as u32)) ^ b
        }
        4..=8 => mix((n as u64).wrapping_add(half(bytes, 0) << 3), half(bytes, n - 4)),
        1..=3 => {
            let y = u64::from(bytes[0]) + (u64::from(bytes[n / 2]) << 8);
            let z = n as u64 + (u64::from(bytes[n - 1]) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
        }
        0 => K2,
    }
}

fn up_to_32(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let a = word(bytes, 0).wrapping_mul(K1);
    let b = word(bytes, 8);
    let c = word(bytes, n - 8).wrapping_mul(K2);
    let d = word(bytes, n - 16).wrapping_mul(K0);
    let first = a.wrapping_sub(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let second = a.wrapping_add((b ^ K3).rotate_right(20)).wrapping_sub(c).wrapping_add(n as u64);
    mix(first, second)
}

fn up_to_64(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let half_hash = |start: u64, last: u64, at: usize| {
        let mut a = start;
        let mut b = a.wrapping_add(last).rotate_right(52);
        let mut c = a.rotate_right(37);
        a = a.wrapping_add(word(bytes, at + 8));
        c = c.wrapping_add(a.rotate_right(7));
        a = a.wrapping_add(word(bytes, at + 16));
        b = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
        (a.wrapping_add(last), b)
    };
    let start = (n as u64).wrapping_add(word(bytes, n - 16)).wrapping_mul(K0);
    let (v_first, v_second) = half_hash(word(bytes, 0).wrapping_add(start), word(bytes, 24), 0);
    let start = word(bytes, 16).wrapping_add(word(bytes, n - 32));
    let (w_first, w_second) = half_hash(start, word(bytes, n - 8), n - 32);
    let r = v_first.wrapping_add(w_second).wrapping_mul(K2);
    let r = shift_mix(r.wrapping_add(w_first.wrapping_add(v_second).wrapping_mul(K0)));
    shift_mix(r.wrapping_mul(K0).wrapping_add(v_second)).wrapping_mul(K2)
}

fn long(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    let mut y = word(bytes, n - 16) ^ K1;
    let mut z = word(bytes, n - 56) ^ K0;
    let mut v = weak(bytes, n - 64, n as u64, y);
    let mut w = weak(bytes, n - 32, (n as u64).wrapping_mul(K1), K0);
    z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    let mut x = z.wrapping_add(word(bytes, 0)).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    for at in (0..(n - 1) & !63).step_by(64) {
        let sum = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(bytes, at + 16));
        x = sum.rotate_right(37).wrapping_mul(K1);
        let sum = y.wrapping_add(v.1).wrapping_add(word(bytes, at + 48));
        y = sum.rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y ^= v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak(bytes, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak(bytes, at + 32, z.wrapping_add(w.1), y);
        std::mem::swap(&mut z, &mut x);
    }
    let first = mix(v.0, w.0).wrapping_add(shift_mix(y).wrapping_mul(K1)).wrapping_add(z);
    mix(first, mix(v.1, w.1).wrapping_add(x))
}

fn weak(bytes: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let (x, y, z) = (word(bytes, at + 8), word(bytes, at + 16), word(bytes, at + 24));
    let a = a.wrapping_add(word(bytes, at));
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let start = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    (a.wrapping_add(z), b.wrapping_add(a.rotate_right(44)).wrapping_add(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_library() {
        for (text, hash) in [
            ("x", -784473192),
            ("yy", -1440182944),
            ("a longer text", 1477458032),
            ("seventeen letters", -580945932),
            ("a text of sixty-four letters or so, to be a little beyond the bound of it", -1285102920),
            ("日本語テキスト", 1500918860),
            ("-3", 1837837212),
        ] {
            assert_eq!(category(text), hash, "{text}");
        }
    }
}
