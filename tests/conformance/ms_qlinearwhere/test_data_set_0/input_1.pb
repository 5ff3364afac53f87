Bx1J
XFÅ §§A¢s,