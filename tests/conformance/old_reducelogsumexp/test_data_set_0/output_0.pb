By0Jx9ICÌ¾=C’CÛâÀBVŽVBMÍÚ@#
Càø9CÍßEBëXtCž·ÂBèÈB7„ÊBÞrBœgÝB{ŽºBéÄáB?2C°h¡B¬…æBmS7C®UCY*ŠB…êC3sªC
vCôVªB}u"CŽÙ,B˜:]B