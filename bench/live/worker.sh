# A worker: stress-ng, at the load that its FIFO was told last, in percent of a CPU. Arguments: directory, wid.
# `crash` in the directory: all but the first end at once.
[ "$2" -gt 1 ] && [ -e "$1/crash" ] && exit 3
exec 3<>"$1/$2"
echo $$ >"$1/$2.new" && mv "$1/$2.new" "$1/$2.pid" # whoever reads it may write to the FIFO
while read -r load <&3; do
    [ -z "$burner" ] || { kill "$burner" && wait "$burner"; }
    # Short slices, so that a load is one within each of the quota's periods, too.
    stress-ng --quiet --cpu 1 --cpu-method int8 --cpu-load "$load" --cpu-load-slice 1 --temp-path "$1" 3<&- &
    burner=$!
done
