# cppcheck and clang-tidy without its analyzer, which scripts/test.sh runs as well: once, with the developers' build.
case $WQCC in
*/build/dev/wqcc) ;;
*) echo "SKIP: build/dev runs scripts/lint.sh --fast"; exit 77 ;;
esac
for tool in clang-tidy-19 cppcheck; do
	command -v $tool >/dev/null || { echo "SKIP: $tool is not installed (scripts/setup.sh --lint)"; exit 77; }
done
scripts/lint.sh --fast
