//! How many replicas more and fewer a rolling update may have ("Deployments", Kubernetes docs).

use super::Rollout;
use crate::kinds::pod::{RollingUpdate, Strategy, StrategyType};
use crate::wire::IntOrString;

/// What an update may have where nobody says.
const DEFAULT_PERCENT: u32 = 25;

/// The strategy in numbers for so many replicas. `None`: its bounds are no bounds.
pub(super) fn resolve(strategy: &Strategy, replicas: u32) -> Option<Rollout> {
    if strategy.strategy_type == StrategyType::Recreate {
        return Some(Rollout::Recreate);
    }
    let RollingUpdate { max_surge, max_unavailable } = &strategy.rolling_update;
    let max_surge = number(max_surge.as_ref(), replicas, u64::div_ceil)?;
    let max_unavailable = number(max_unavailable.as_ref(), replicas, |share, whole| share / whole)?;
    let max_unavailable = if max_surge == 0 { max_unavailable.max(1) } else { max_unavailable };
    Some(Rollout::RollingUpdate { max_surge, max_unavailable })
}

fn number(written: Option<&IntOrString>, replicas: u32, divide: fn(u64, u64) -> u64) -> Option<u32> {
    let percent = match written {
        None => DEFAULT_PERCENT,
        Some(IntOrString::Int(number)) => return u32::try_from(*number).ok(),
        Some(IntOrString::String(text)) => text.strip_suffix('%')?.parse().ok()?,
    };
    u32::try_from(divide(u64::from(percent) * u64::from(replicas), 100)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(surge: &str, unavailable: &str, replicas: u32, expected: (u32, u32)) {
        let parse = |text: &str| match text.parse() {
            _ if text == "-" => None,
            Ok(number) => Some(IntOrString::Int(number)),
            Err(_) => Some(IntOrString::String(text.to_owned())),
        };
        let rolling_update = RollingUpdate { max_surge: parse(surge), max_unavailable: parse(unavailable) };
        let strategy = Strategy { rolling_update, ..Strategy::default() };
        let (max_surge, max_unavailable) = expected;
        let expected = Rollout::RollingUpdate { max_surge, max_unavailable };
        assert_eq!(resolve(&strategy, replicas), Some(expected));
    }

    #[test]
    fn acc_s4_52_surge_is_rounded_up_and_unavailable_down() {
        check("-", "-", 3, (1, 0));
        check("-", "-", 2, (1, 0));
        check("-", "-", 10, (3, 2));
        check("0", "0", 3, (0, 1));
        check("0%", "10%", 3, (0, 1));
        check("2", "50%", 5, (2, 2));
        check("-", "-", 0, (0, 1));
        check("100%", "0", u32::MAX, (u32::MAX, 0));
    }

    #[test]
    fn what_is_neither_number_nor_percentage_is_no_bound() {
        for wrong in
            [IntOrString::String("x%".into()), IntOrString::String("1.5".into()), IntOrString::Int(-1)]
        {
            let rolling_update = RollingUpdate { max_surge: Some(wrong), max_unavailable: None };
            let strategy = Strategy { rolling_update, ..Strategy::default() };
            assert_eq!(resolve(&strategy, 3), None);
        }
    }
}
