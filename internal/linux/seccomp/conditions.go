package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Jump targets while an alternative is being assembled; the real distance is filled in at its end.
const (
	toFail = 0xff // the next alternative
	toNext = 0xfe // the next condition
)

// appendAlternative appends: when all conditions hold, return; else fall through to what follows.
func appendAlternative(out []unix.SockFilter, a alternative) []unix.SockFilter {
	start := len(out)
	for _, c := range a.conditions {
		first := len(out)
		out = appendCondition(out, c)
		patch(out, first, toNext, len(out))
	}
	out = append(out, stmt(opRet, a.ret))
	patch(out, start, toFail, len(out)) // at most 6 conditions of 6 instructions
	return out
}

// patch turns a symbolic target in out[from:] into the distance to out[target].
func patch(out []unix.SockFilter, from int, symbol uint8, target int) {
	for i := from; i < len(out); i++ {
		if out[i].Code&0x07 != unix.BPF_JMP {
			continue
		}
		distance := uint8(target - i - 1) //nolint:gosec // an alternative is below 64 instructions long
		if out[i].Jt == symbol {
			out[i].Jt = distance
		}
		if out[i].Jf == symbol {
			out[i].Jf = distance
		}
	}
}

// appendCondition appends a test of one 64-bit argument that goes on to the instruction after it,
// or to toNext, when it holds and to toFail when not.
func appendCondition(out []unix.SockFilter, c specs.LinuxSeccompArg) []unix.SockFilter {
	high, low := halves(c.Value)
	loadHigh, loadLow := loads(c.Index)
	switch c.Op {
	case specs.OpEqualTo:
		return append(out, loadHigh, jump(opEQ, high, 0, toFail), loadLow, jump(opEQ, low, 0, toFail))
	case specs.OpNotEqual:
		return append(out, loadHigh, jump(opEQ, high, 0, toNext), loadLow, jump(opEQ, low, toFail, 0))
	case specs.OpGreaterEqual, specs.OpGreaterThan:
		op := uint16(opGE)
		if c.Op == specs.OpGreaterThan {
			op = opGT
		}
		return append(out, loadHigh, jump(opGT, high, toNext, 0), jump(opEQ, high, 0, toFail),
			loadLow, jump(op, low, 0, toFail))
	case specs.OpLessThan, specs.OpLessEqual:
		op := uint16(opGE)
		if c.Op == specs.OpLessEqual {
			op = opGT
		}
		return append(out, loadHigh, jump(opGT, high, toFail, 0), jump(opEQ, high, 0, toNext),
			loadLow, jump(op, low, toFail, 0))
	case specs.OpMaskedEqual:
		wantHigh, wantLow := halves(c.Value & c.ValueTwo)
		return append(out,
			loadHigh, stmt(opAnd, high), jump(opEQ, wantHigh, 0, toFail),
			loadLow, stmt(opAnd, low), jump(opEQ, wantLow, 0, toFail))
	}
	return out // checkArgs has seen every operator
}

// equalRun counts the leading alternatives that compare the same argument's lower half for
// equality and return the same: Docker's list of socket families.
func equalRun(s []alternative) int {
	const longest = 200 // so that jumps over the run stay below 255
	n := 0
	for n < len(s) && n < longest && len(s[n].conditions) == 1 && s[n].ret == s[0].ret {
		c, first := s[n].conditions[0], s[0].conditions[0]
		if c.Op != specs.OpEqualTo || c.Index != first.Index || c.Value>>32 != first.Value>>32 {
			break
		}
		n++
	}
	return max(n, 1)
}

// appendEqualRun appends the alternatives equalRun found with one load for all.
func appendEqualRun(out []unix.SockFilter, run []alternative) []unix.SockFilter {
	first := run[0].conditions[0]
	high, _ := halves(first.Value)
	loadHigh, loadLow := loads(first.Index)
	n := len(run)
	out = append(out, loadHigh, jump(opEQ, high, 0, uint8(n+2)), loadLow) //nolint:gosec // at most 202
	for i, a := range run {
		_, low := halves(a.conditions[0].Value)
		test := jump(opEQ, low, uint8(n-1-i), 0) //nolint:gosec // below 200
		if i == n-1 {
			test.Jf = 1
		}
		out = append(out, test)
	}
	return append(out, stmt(opRet, run[0].ret))
}

func halves(v uint64) (high, low uint32) { return uint32(v >> 32), uint32(v) } //nolint:gosec // that is the point

// loads are the instructions that load the two halves of an argument (both architectures are little-endian).
func loads(index uint) (high, low unix.SockFilter) {
	at := uint32(offsetArgs + 8*index) //nolint:gosec // below 64
	return stmt(opLoad, at+4), stmt(opLoad, at)
}
