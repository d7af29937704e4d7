/* What Tidegate uses of DPDK. */
#include <stddef.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_thash.h>
#include <rte_version.h>

/* rte_errno is a macro over a thread-local variable, which Rust can't name. */
static inline int dpdk_sys_errno(void)
{
	return rte_errno;
}

/* The fields below lie in unnamed structures in some releases and not in others, so their Rust
 * names would change; C's do not. */

/* Whether the link is up, and its speed in Mbit/s. */
static inline int dpdk_sys_link(uint16_t port, uint32_t *speed)
{
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(port, &link) != 0)
		return 0;
	*speed = link.link_speed;
	return link.link_status;
}

enum dpdk_sys_mbuf {
	DPDK_SYS_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	DPDK_SYS_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	DPDK_SYS_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	DPDK_SYS_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	DPDK_SYS_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	DPDK_SYS_MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
};
