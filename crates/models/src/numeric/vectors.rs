//! Code that is compiled a second time for processors with longer vectors.

/// Does some work with vectors of 256 bits and multiplications that add in the same rounding, where the processor has them.
///
/// The work is a closure that is `#[inline(always)]`, as what it calls: anything else stays what it is. No result depends on where it runs
/// unless the work asks for a fused multiplication ([`f64::mul_add`]), which is slow where [`can_fuse`] says no.
#[inline(always)]
pub(crate) fn in_vectors<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if has_vectors() {
        #[expect(unsafe_code, reason = "what is compiled for an instruction may run only where it is")]
        // SAFETY: the processor was just asked whether it has the instructions.
        return unsafe { with_avx2(work) };
    }
    work()
}

/// Whether [`f64::mul_add`] in [`in_vectors`] is one instruction.
pub(crate) fn can_fuse() -> bool {
    #[cfg(target_arch = "x86_64")]
    return has_vectors();
    #[cfg(not(target_arch = "x86_64"))]
    cfg!(any(target_arch = "aarch64", target_feature = "fma"))
}

#[cfg(target_arch = "x86_64")]
fn has_vectors() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
