"""Which codes are languages: ISO 639-1, the three letters that stand for two, and others people write in."""

_TWO = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu "
    "lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu "
    "rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to "
    "tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu in iw ji jw mo "
)
_THREE = (  # of ISO 639-2 and -3, those that Unicode's CLDR or Wikipedia has, and that have no two letters
    "ace ady ain ale alt ang anp apc arc arn arp arz ary asa ast awa bal ban bar bas bej bem bez bho bik "
    "bin bla bqi brx bua bug byn cad car cbk ceb cgg chk chm chn cho chp chr chy ckb cmn cop crh csb dak "
    "dar dav del den dgr din dje doi dsb dua dum dyo efi egy ewo eka enm ext fil fon frm fro frp frr fur "
    "gaa gag gan gay gba gez gil glk gmh goh gon gor got grb grc gsw guz gwi hai hak haw hif hil hit hmn "
    "hne hsb hsn hup iba ilo inh jam jbo jmc jpr jrb kaa kab kac kaj kam kaw kbd kde kea kha kho kln kmb "
    "kmr kok kos kpe krc kri krl kru ksb ksf ksh kum kut lad lag lah lam lez lfn lij liv lkt lld lmo lol "
    "lou loz lrc ltg lua lui lun luo lus luy lzh lzz mad mag mai mak man mas mdf mdr men mer mfe mga mgh "
    "mgo mhr mic min mnc mni moh mos mrj mua mus mwl mwr myv mzn nan nap naq nds new nia niu nmg nnh nog "
    "non nov nqo nso nus nwc nym nyn nyo nzi osa ota pag pal pam pap pau pcd pcm pdc pdt peo pfl phn pms "
    "pnb pnt pon prg pro prs quc qug raj rap rar rgn rif rof rom rue rup rwk sad sah saq sas sat scn sco "
    "sdc sdh seh sei sel ses sga sgs shi shn sid skr sli sma smj smn sms snk sog srn srr ssy stq suk sus "
    "sux swb swg syr szl tcy tem teo ter tet tig tiv tkl tlh tli tmh tog tok tpi trv tsi tum tvl twq tyv "
    "tzm udm uga umb vai vec vep vls vmf vmw vot vro vun wae wal war was wbp wuu xal xmf xog yao yap yav "
    "yrl yue zap zbl zea zen zgh zun zza "
)
_SHORT = (  # ISO 639-2, both its codes where there are two, and codes that were replaced
    "aar:aa abk:ab ave:ae afr:af aka:ak amh:am arg:an ara:ar asm:as ava:av aym:ay aze:az bak:ba bel:be "
    "bul:bg bis:bi bam:bm ben:bn bod:bo tib:bo bre:br bos:bs cat:ca che:ce cha:ch cos:co cre:cr ces:cs "
    "cze:cs chu:cu chv:cv cym:cy wel:cy dan:da deu:de ger:de div:dv dzo:dz ewe:ee ell:el gre:el eng:en "
    "epo:eo spa:es est:et eus:eu baq:eu fas:fa per:fa ful:ff fin:fi fij:fj fao:fo fra:fr fre:fr fry:fy "
    "gle:ga gla:gd glg:gl grn:gn guj:gu glv:gv hau:ha heb:he hin:hi hmo:ho hrv:hr hat:ht hun:hu hye:hy "
    "arm:hy her:hz ina:ia ind:id ile:ie ibo:ig iii:ii ipk:ik ido:io isl:is ice:is ita:it iku:iu jpn:ja "
    "jav:jv kat:ka geo:ka kon:kg kik:ki kua:kj kaz:kk kal:kl khm:km kan:kn kor:ko kau:kr kas:ks kur:ku "
    "kom:kv cor:kw kir:ky lat:la ltz:lb lug:lg lim:li lin:ln lao:lo lit:lt lub:lu lav:lv mlg:mg mah:mh "
    "mri:mi mao:mi mkd:mk mac:mk mal:ml mon:mn mar:mr msa:ms may:ms mlt:mt mya:my bur:my nau:na nob:nb "
    "nde:nd nep:ne ndo:ng nld:nl dut:nl nno:nn nor:no nbl:nr nav:nv nya:ny oci:oc oji:oj orm:om ori:or "
    "oss:os pan:pa pli:pi pol:pl pus:ps por:pt que:qu roh:rm run:rn ron:ro rum:ro rus:ru kin:rw san:sa "
    "srd:sc snd:sd sme:se sag:sg sin:si slk:sk slo:sk slv:sl smo:sm sna:sn som:so sqi:sq alb:sq srp:sr "
    "ssw:ss sot:st sun:su swe:sv swa:sw tam:ta tel:te tgk:tg tha:th tir:ti tuk:tk tgl:tl tsn:tn ton:to "
    "tur:tr tso:ts tat:tt twi:tw tah:ty uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wln:wa wol:wo "
    "xho:xh yid:yi yor:yo zha:za zho:zh chi:zh zul:zu in:id iw:he ji:yi jw:jv mo:ro "
)

SHORT = dict(pair.split(":") for pair in _SHORT.split())
"""From a code to the one that BCP 47 (RFC 5646, section 2.2.1) wants in its place: ``deu`` to ``de``."""

KNOWN = frozenset(_TWO.split()) | frozenset(_THREE.split())
"""Languages; “undetermined”, “several”, “none” and “other” (ISO 639) are none."""
