package stage

// codec writes values to buf or, reading, takes them from its front. JSON would cost the child more
// than all its mounts.
type codec struct {
	buf     []byte
	reading bool
	bad     bool // the input ended early or a length is impossible
}

type integer interface {
	~uint16 | ~uint32 | ~uint64 | ~int
}

// number is a base-128 varint; negative numbers are not used.
func number[T integer](c *codec, v *T) {
	if !c.reading {
		n := uint64(*v)
		for n >= 0x80 {
			c.buf = append(c.buf, byte(n)|0x80)
			n >>= 7
		}
		c.buf = append(c.buf, byte(n))
		return
	}
	*v = T(c.varint())
}

func (c *codec) varint() uint64 {
	var n uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if len(c.buf) == 0 {
			break
		}
		b := c.buf[0]
		c.buf = c.buf[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.bad = true
	return 0
}

// length is a number of items that follow, each at least a byte long.
func (c *codec) length(n int) int {
	number(c, &n)
	if c.reading && (n < 0 || n > len(c.buf)) {
		c.bad = true
		return 0
	}
	return n
}

func (c *codec) bool(v *bool) {
	n := uint32(0)
	if *v {
		n = 1
	}
	number(c, &n)
	*v = n != 0
}

func (c *codec) bytes(v *[]byte) {
	n := c.length(len(*v))
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	*v = c.buf[:n:n]
	c.buf = c.buf[n:]
}

func (c *codec) string(v *string) {
	n := c.length(len(*v))
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	*v = string(c.buf[:n])
	c.buf = c.buf[n:]
}

func list[T any](c *codec, v *[]T, item func(*codec, *T)) {
	n := c.length(len(*v))
	if c.reading && n > 0 {
		*v = make([]T, n)
	}
	for i := range *v {
		if c.bad {
			return
		}
		item(c, &(*v)[i])
	}
}
