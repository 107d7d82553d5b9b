package probe

// networkProbes are about networks.
var networkProbes = []Probe{
	{
		Name: "raw-socket", Title: "make packets of his own (nmap -sS)", Family: Network, Severity: High,
		Syscall: "socket(AF_INET, SOCK_RAW)",
		Decides: "CAP_NET_RAW",
		Meaning: "He scans the network half-open and sends under others' addresses.",
	},
	{
		Name: "packet-socket", Title: "listen to all packets", Family: Network, Severity: High,
		Syscall: "socket(AF_PACKET, SOCK_RAW)",
		Decides: "CAP_NET_RAW",
		Meaning: "He reads what passes and poisons the neighbours' ARP tables.",
	},
	{
		Name: "so-mark", Title: "mark packets for the firewall", Family: Network, Severity: Low,
		Syscall: "setsockopt(SO_MARK)",
		Decides: "CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on",
		Meaning: "Rules that trust a mark let his packets pass.",
	},
	{
		Name: "bind-low-port", Title: "listen on a port below 1024", Family: Network, Severity: Low,
		Syscall: "bind(127.0.0.1:1023)",
		Decides: "CAP_NET_BIND_SERVICE, or the sysctl net.ipv4.ip_unprivileged_port_start",
		Meaning: "He takes the place of a service that was trusted for its port.",
	},
	{
		Name: "change-network", Title: "change addresses and routes", Family: Network, Severity: Medium,
		Syscall: "netlink RTM_NEWADDR",
		Decides: "CAP_NET_ADMIN",
		Meaning: "He takes over addresses and leads traffic elsewhere.",
	},
	{
		Name: "firewall", Title: "change the firewall", Family: Network, Severity: High,
		Syscall: "netlink NFT_MSG_NEWTABLE",
		Decides: "CAP_NET_ADMIN",
		Meaning: "He lifts the rules that hold him, and reaches nftables' holes.",
	},
	{
		Name: "metadata", Title: "ask the cloud's metadata service", Family: Network, Severity: High,
		Syscall: "connect(169.254.169.254:80)",
		Decides: "the container's network",
		Meaning: "The service hands out the machine's own credentials.",
	},
	{
		Name: "vsock", Title: "talk to the hypervisor", Family: Network, Severity: Low,
		Syscall: "socket(AF_VSOCK)",
		Decides: "seccomp",
		Meaning: "Agents of the hypervisor listen there, behind no firewall.",
	},
	{
		Name: "alg-socket", Title: "use the kernel's cryptography", Family: Network, Severity: Low,
		Syscall: "socket(AF_ALG)",
		Decides: "seccomp",
		Meaning: "A large part of the kernel is within reach that no service needs.",
	},
	{
		Name: "engine-socket", Title: "command the container engine", Family: Network, Severity: High,
		Syscall: "connect(/var/run/docker.sock …)",
		Decides: "whether the socket is mounted, and its mode",
		Meaning: "He starts a container with the machine's disk in it: he is root there.",
	},
}
