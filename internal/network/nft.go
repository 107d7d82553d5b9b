package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is our nftables table over one netlink socket.
//
// The chains are written once; a container adds elements to the maps published (an address of the
// host's) and published_any, nothing else.
type ruleset struct {
	conn   *nftables.Conn
	table  *nftables.Table
	bridge string
}

// element publishes one port: host.port to to.
type element struct {
	proto byte
	host  netip.Addr // invalid: every address
	port  uint16
	to    netip.AddrPort
}

// Registers: 1 is the first of the 4-byte registers 8, 9, 10 …, which a concatenation fills in order.
const (
	reg1 = 1
	reg2 = 9
	reg3 = 10
)

// Offsets in the IPv4 and in the TCP or UDP header.
const (
	sourceAddr = 12
	destAddr   = 16
	destPort   = 2
)

const elementsPerMessage = 500 // a netlink attribute holds 64 KiB

func openRuleset(c config) (*ruleset, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", nftHint(err))
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: c.table}
	return &ruleset{conn: conn, table: table, bridge: c.bridge}, nil
}

func (r *ruleset) close() error {
	if err := r.conn.CloseLasting(); err != nil {
		return fmt.Errorf("close nftables: %w", err)
	}
	return nil
}

// nftHint adds what to do where the kernel has no nftables.
func nftHint(err error) error {
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("this kernel has no nftables (use --network host or none): %w", err)
	}
	return err
}

// present reports whether the table is there, by one message.
func (r *ruleset) present() bool {
	_, err := r.conn.GetSetByName(r.table, "published_any")
	return err == nil
}

func (r *ruleset) maps() (one, every *nftables.Set) {
	to := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	one = &nftables.Set{
		Table: r.table, Name: "published", IsMap: true, DataType: to,
		KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeIPAddr, nftables.TypeInetService),
	}
	every = &nftables.Set{
		Table: r.table, Name: "published_any", IsMap: true, DataType: to,
		KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
	}
	return one, every
}

// create replaces the table by a new one in one transaction.
func (r *ruleset) create(subnet netip.Prefix, published []element) error {
	r.conn.AddTable(r.table)
	r.conn.DelTable(r.table)
	r.conn.AddTable(r.table)
	one, every := r.maps()
	if err := errors.Join(r.conn.AddSet(one, nil), r.conn.AddSet(every, nil)); err != nil {
		return fmt.Errorf("make nftables map: %w", err)
	}
	if err := r.add(one, every, published); err != nil {
		return err
	}
	r.guardChain(subnet)
	r.publishChains(one, every)
	r.masqueradeChain(subnet)
	r.forwardChain()
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("make nftables table: %w", nftHint(err))
	}
	return nil
}

func (r *ruleset) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	c := &nftables.Chain{Name: name, Table: r.table}
	if hook != nil {
		c.Type, c.Hooknum, c.Priority = kind, hook, prio
	}
	return r.conn.AddChain(c)
}

func (r *ruleset) rule(c *nftables.Chain, parts ...[]expr.Any) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: slices.Concat(parts...)})
}

// guardChain keeps what only the host itself may say out: packets for 127.0.0.0/8 that did not start
// here (CVE-2020-8558; route_localnet is on for the bridge) and forged senders from containers.
func (r *ruleset) guardChain(subnet netip.Prefix) {
	c := r.chain("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	r.rule(c, iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, "lo"), within(destAddr, expr.CmpOpEq, loopback), verdict(expr.VerdictDrop))
	r.rule(c, iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, r.bridge), within(sourceAddr, expr.CmpOpNeq, subnet), verdict(expr.VerdictDrop))
}

// publishChains send what is for a published port of this machine to its container.
func (r *ruleset) publishChains(one, every *nftables.Set) {
	publish := r.chain("publish", "", nil, nil)
	for _, hook := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"prerouting", nftables.ChainHookPrerouting}, {"output", nftables.ChainHookOutput}} {
		c := r.chain(hook.name, nftables.ChainTypeNAT, hook.hook, nftables.ChainPriorityNATDest)
		r.rule(c, local(), []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: publish.Name}})
	}
	proto := &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1}
	r.rule(publish, []expr.Any{
		proto, &expr.Payload{DestRegister: reg2, Base: expr.PayloadBaseNetworkHeader, Offset: destAddr, Len: 4},
		&expr.Payload{DestRegister: reg3, Base: expr.PayloadBaseTransportHeader, Offset: destPort, Len: 2},
	}, dnat(one))
	r.rule(publish, []expr.Any{
		proto, &expr.Payload{DestRegister: reg2, Base: expr.PayloadBaseTransportHeader, Offset: destPort, Len: 2},
	}, dnat(every))
}

// masqueradeChain lets answers come back through us: for what leaves the subnet, for the host's own
// 127.0.0.1, and for a container that talks to a published port.
func (r *ruleset) masqueradeChain(subnet netip.Prefix) {
	c := r.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	masq := []expr.Any{&expr.Masq{}}
	r.rule(c, iface(expr.MetaKeyOIFNAME, expr.CmpOpNeq, r.bridge), within(sourceAddr, expr.CmpOpEq, subnet), masq)
	r.rule(c, iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.bridge), within(sourceAddr, expr.CmpOpEq, loopback), masq)
	r.rule(c, iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.bridge), within(sourceAddr, expr.CmpOpEq, subnet),
		ctBits(expr.CtKeySTATUS, ctDNAT), masq)
}

// forwardChain lets containers out and answers and published ports in, and nothing else in.
func (r *ruleset) forwardChain() {
	c := r.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	in := iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.bridge)
	r.rule(c, in, ctBits(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
	r.rule(c, in, ctBits(expr.CtKeySTATUS, ctDNAT), verdict(expr.VerdictAccept))
	r.rule(c, iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, r.bridge), verdict(expr.VerdictAccept))
	r.rule(c, in, verdict(expr.VerdictDrop))
}

// publish adds elements in one transaction; unix.EEXIST where somebody else's has the same key.
func (r *ruleset) publish(es []element) error {
	one, every := r.maps()
	if err := r.add(one, every, es); err != nil {
		return err
	}
	return r.flush("publish port")
}

// unpublish removes elements in one transaction; unix.ENOENT, and nothing removed, where one is missing.
func (r *ruleset) unpublish(es []element) error {
	one, every := r.maps()
	err := r.each(one, every, es, func(s *nftables.Set, es []nftables.SetElement) error {
		for i := range es {
			es[i].Val = nil
		}
		return r.conn.SetDeleteElements(s, es)
	})
	if err != nil {
		return err
	}
	return r.flush("unpublish port")
}

func (r *ruleset) flush(what string) error {
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (r *ruleset) add(one, every *nftables.Set, es []element) error {
	return r.each(one, every, es, r.conn.SetAddElements)
}

// each calls do with the elements of each map in pieces that fit a message.
func (r *ruleset) each(one, every *nftables.Set, es []element, do func(*nftables.Set, []nftables.SetElement) error) error {
	var ofOne, ofEvery []nftables.SetElement
	for _, e := range es {
		if e.host.IsValid() {
			ofOne = append(ofOne, e.encode())
		} else {
			ofEvery = append(ofEvery, e.encode())
		}
	}
	for _, m := range []struct {
		set *nftables.Set
		es  []nftables.SetElement
	}{{one, ofOne}, {every, ofEvery}} {
		for chunk := range slices.Chunk(m.es, elementsPerMessage) {
			if err := do(m.set, chunk); err != nil {
				return fmt.Errorf("encode map elements: %w", err)
			}
		}
	}
	return nil
}

// list reads both maps.
func (r *ruleset) list() ([]element, error) {
	one, every := r.maps()
	var all []element
	for _, s := range []*nftables.Set{one, every} {
		es, err := r.conn.GetSetElements(s)
		if err != nil {
			return nil, fmt.Errorf("list published ports: %w", err)
		}
		for _, e := range es {
			if d, ok := decode(e); ok {
				all = append(all, d)
			}
		}
	}
	return all, nil
}

// encode gives key and value: each part fills a 4-byte register.
func (e element) encode() nftables.SetElement {
	key := []byte{e.proto, 0, 0, 0}
	if e.host.IsValid() {
		key = append(key, e.host.AsSlice()...)
	}
	key = append(binary.BigEndian.AppendUint16(key, e.port), 0, 0)
	val := append(binary.BigEndian.AppendUint16(e.to.Addr().AsSlice(), e.to.Port()), 0, 0)
	return nftables.SetElement{Key: key, Val: val}
}

// decode undoes encode; not ok for anything that encode did not make.
func decode(s nftables.SetElement) (e element, ok bool) {
	key, val := s.Key, s.Val
	if len(val) != 8 || (len(key) != 8 && len(key) != 12) {
		return element{}, false
	}
	e.proto = key[0]
	if len(key) == 12 {
		e.host = netip.AddrFrom4([4]byte(key[4:8]))
	}
	e.port = binary.BigEndian.Uint16(key[len(key)-4:])
	e.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(val[:4])), binary.BigEndian.Uint16(val[4:]))
	return e, true
}

// elements are what publishes ports at a container's address.
func elements(ports []Port, addr netip.Addr) []element {
	es := make([]element, 0, len(ports))
	for _, p := range ports {
		e := element{proto: unix.IPPROTO_TCP, port: p.HostPort, to: netip.AddrPortFrom(addr, p.ContainerPort)}
		if p.Protocol == "udp" {
			e.proto = unix.IPPROTO_UDP
		}
		if !p.wildcard() {
			e.host = p.HostIP
		}
		es = append(es, e)
	}
	return es
}

var loopback = netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)

const ctDNAT = 1 << 5 // IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h

func iface(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: reg1}, &expr.Cmp{Op: op, Register: reg1, Data: padded}}
}

func within(offset uint32, op expr.CmpOp, p netip.Prefix) []expr.Any {
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg1, Data: p.Masked().Addr().AsSlice()},
	}
}

func local() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

func ctBits(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg1},
		&expr.Bitwise{
			SourceRegister: reg1, DestRegister: reg1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func dnat(m *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Lookup{SourceRegister: reg1, DestRegister: reg1, SetName: m.Name, SetID: m.ID, IsDestRegSet: true},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: reg2},
	}
}
