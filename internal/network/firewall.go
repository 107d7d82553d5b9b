package network

import (
	"log/slog"

	"github.com/google/nftables"
)

// warnFirewall says what to type where another table drops forwarded packets by default: an accept in
// our table does not overrule that. It is asked once, when the base is made.
func warnFirewall(r *ruleset, log *slog.Logger) {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := r.conn.ListChainsOfTableFamily(family)
		if err != nil {
			continue // a warning is not worth an error
		}
		for _, c := range chains {
			if c.Table == nil || c.Table.Name == r.table.Name || !dropsForwarded(c) {
				continue
			}
			log.Warn("a firewall on this machine drops forwarded packets, containers may have no network",
				"table", c.Table.Name, "chain", c.Name, "fix", firewallFix(c, r.bridge))
		}
	}
}

func dropsForwarded(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward &&
		c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
}

func firewallFix(c *nftables.Chain, bridge string) string {
	switch {
	case c.Table.Name == "firewalld":
		return "firewall-cmd --permanent --zone=trusted --add-interface=" + bridge + " && firewall-cmd --reload"
	case c.Table.Name == "filter" && c.Name == "FORWARD":
		return "iptables -I FORWARD -i " + bridge + " -j ACCEPT; iptables -I FORWARD -o " + bridge +
			" -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"
	}
	family := "ip"
	if c.Table.Family == nftables.TableFamilyINet {
		family = "inet"
	}
	rule := "nft insert rule " + family + " " + c.Table.Name + " " + c.Name
	return rule + " iifname " + bridge + " accept; " + rule + " oifname " + bridge + " ct state established,related accept; " +
		rule + " oifname " + bridge + " ct status dnat accept"
}
