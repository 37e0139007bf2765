//! The target groups of one load balancer.

use std::ops::{Deref, DerefMut};

use crate::TargetGroup;

/// The target groups of a load balancer. None ever goes, so that whoever was given the id of one finds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetGroups {
    groups: Vec<TargetGroup>,
}

/// A target group among those of the load balancer that it was given by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetGroupId(pub(crate) usize);

// === impl TargetGroups ===

impl TargetGroups {
    /// Puts one in whose key none has yet.
    pub fn add(&mut self, target_group: TargetGroup) -> TargetGroupId {
        self.groups.push(target_group);
        TargetGroupId(self.groups.len() - 1)
    }

    /// The one with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<TargetGroupId> {
        self.groups.iter().position(|group| group.key == key).map(TargetGroupId)
    }

    /// One of them; `None` for an id that another load balancer gave.
    #[must_use]
    pub fn get(&self, id: TargetGroupId) -> Option<&TargetGroup> {
        self.groups.get(id.0)
    }

    /// All, in the order of their keys.
    #[must_use]
    pub fn by_key(&self) -> Vec<&TargetGroup> {
        let mut groups: Vec<&TargetGroup> = self.groups.iter().collect();
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        groups
    }
}

impl TargetGroupId {
    /// Its place among the target groups of the load balancer.
    #[must_use]
    pub fn place(self) -> usize {
        self.0
    }
}

impl Deref for TargetGroups {
    type Target = [TargetGroup];

    fn deref(&self) -> &[TargetGroup] {
        &self.groups
    }
}

impl DerefMut for TargetGroups {
    fn deref_mut(&mut self) -> &mut [TargetGroup] {
        &mut self.groups
    }
}

impl From<Vec<TargetGroup>> for TargetGroups {
    fn from(groups: Vec<TargetGroup>) -> Self {
        Self { groups }
    }
}

impl<'a> IntoIterator for &'a TargetGroups {
    type Item = &'a TargetGroup;
    type IntoIter = std::slice::Iter<'a, TargetGroup>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.iter()
    }
}

impl<'a> IntoIterator for &'a mut TargetGroups {
    type Item = &'a mut TargetGroup;
    type IntoIter = std::slice::IterMut<'a, TargetGroup>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.iter_mut()
    }
}
