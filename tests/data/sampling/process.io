rchar: 2090350
wchar: 30001786
syscr: 192
syscw: 11
read_bytes: 8192
write_bytes: 30072832
cancelled_write_bytes: 0
