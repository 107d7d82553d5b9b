package raw

const (
	sysSeccomp  = 277
	sysExecveat = 281
)
