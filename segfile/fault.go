package segfile

// guard makes the error of a page that the device cannot give. A source that is looked at in place may be a mapped
// file, and touching such a page raises a fault, which would end the process. It is used as
//
//	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
//	defer guard(name, offset, &err)
//
// where offset is where the bytes being read begin.
func guard(name string, offset uint64, err *error) {
	r := recover()
	if r == nil {
		return
	}
	if _, ok := r.(interface{ Addr() uintptr }); !ok {
		panic(r)
	}
	*err = corrupt(name, int64(offset), "the device does not give the bytes that begin here")
}
