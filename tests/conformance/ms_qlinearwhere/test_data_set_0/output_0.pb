By0J
/$Aoh]l6