//! Doubly linked lists over an array of nodes; each node is in at most one list. All operations take constant time.

use super::hash_index::FlowId;

/// Lists over `nodes` nodes. The ends of list `n` are the extra node `nodes + n`; a node in no list is linked to
/// itself.
#[derive(Debug)]
pub struct Lists {
    links: Box<[Link]>,
    nodes: FlowId,
}

#[derive(Debug, Clone)]
struct Link {
    before: FlowId,
    behind: FlowId,
}

impl Lists {
    /// Empty lists.
    pub fn new(nodes: FlowId, lists: u32) -> Lists {
        let links = (0..nodes + lists).map(|node| Link { before: node, behind: node }).collect();
        Lists { links, nodes }
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        size_of_val(&*self.links)
    }

    /// The first node of the list, which is the oldest.
    pub fn first(&self, list: u32) -> Option<FlowId> {
        Some(self.links[(self.nodes + list) as usize].behind).filter(|&node| node < self.nodes)
    }

    /// All nodes of the list, oldest first.
    pub fn all(&self, list: u32) -> impl Iterator<Item = FlowId> {
        let next = |&node: &FlowId| {
            Some(self.links[node as usize].behind).filter(|&node| node < self.nodes)
        };
        std::iter::successors(self.first(list), next)
    }

    /// Whether the node is in a list.
    pub fn has(&self, node: FlowId) -> bool {
        self.links[node as usize].behind != node
    }

    /// Moves a node to the end of the list, out of any other one.
    pub fn append(&mut self, list: u32, node: FlowId) {
        self.remove(node);
        self.push(list, node);
    }

    /// Appends a node that is in no list.
    pub fn push(&mut self, list: u32, node: FlowId) {
        let end = self.nodes + list;
        let last = self.links[end as usize].before;
        self.links[node as usize] = Link { before: last, behind: end };
        self.links[last as usize].behind = node;
        self.links[end as usize].before = node;
    }

    /// Removes a node from its list, if any.
    pub fn remove(&mut self, node: FlowId) {
        let Link { before, behind } = self.links[node as usize];
        self.links[before as usize].behind = behind;
        self.links[behind as usize].before = before;
        self.links[node as usize] = Link { before: node, behind: node };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(lists: &mut Lists, list: u32) -> Vec<FlowId> {
        std::iter::from_fn(|| {
            let node = lists.first(list)?;
            lists.remove(node);
            Some(node)
        })
        .collect()
    }

    #[test]
    fn order_is_kept_and_any_node_can_leave() {
        let mut lists = Lists::new(4, 2);
        for node in 0..4 {
            lists.append(0, node);
        }
        lists.append(1, 2);
        lists.remove(0);
        lists.remove(0);
        lists.append(0, 1);
        assert!(lists.all(0).eq([3, 1]));
        assert_eq!(drained(&mut lists, 0), [3, 1]);
        assert_eq!(drained(&mut lists, 1), [2]);
        assert_eq!(lists.first(0), None);
    }
}
