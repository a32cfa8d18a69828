"""The 17 roots of the IPTC Media Topics, built in.

Codes and labels: IPTC NewsCodes, http://cv.iptc.org/newscodes/mediatopic/, release of 2 July 2026,
copyright IPTC, CC BY 4.0. Languages are given as BCP 47 tags; IPTC writes se, dk, no-NB, no-NN.
"""

from collections.abc import Mapping
from types import MappingProxyType

LANGUAGES = (
    "en-GB", "en-US", "ar", "da", "de", "es", "fr", "nb", "nn", "pt-BR", "pt-PT", "sv", "zh-Hans",
)  # fmt: skip
_ROWS = """
01000000|arts-and-media|arts, culture, entertainment and media|arts, culture, entertainment and media|فنون، ثقافة وترفيه|kunst, kultur, underholdning og medier|Kultur, Kunst, Unterhaltung und Medien|Arte, cultura, entretenimiento y medios|Arts, culture, divertissement et médias|kultur, underholdning og medier|kultur, underhaldning og media|artes, cultura, entretenimento e mídia|artes, cultura, entretenimento e média|Konst, kultur och nöje|艺术、文化、娱乐和媒体
02000000|crime|crime, law and justice|crime, law and justice|جريمة، قانون وقضاء|kriminalitet, lov og retfærdighed|Justiz, Kriminalität|Policía y justicia|Criminalité, droit et justice|kriminalitet, rett og rettsvesen|kriminalitet, rett og rettsvesen|crime, lei e justiça|crime, lei e justiça|Brott, lag och rätt|犯罪、法律和司法
03000000|disaster|disaster, accident and emergency incident|disaster, accident and emergency incident|كوارث وحوادث|katastrofe, ulykke og nødsituation|Katastrophe und Unglück|Catástrofes y accidentes|Désastres et accidents|ulykker og naturkatastrofer|ulykker og naturkatastrofar|desastres, acidentes e emergências|desastres, acidentes e emergências|Katastrofer och olyckor|灾难、事故和突发事件
04000000|economy|economy, business and finance|economy, business and finance|اقتصاد، اعمال ومال|økonomi, erhvervsliv og finans|Wirtschaft und Finanzen|Economía, negocios y finanzas|Économie et finances|økonomi og næringsliv|økonomi og næringsliv|economia, negócios e finanças|economia, negócios e finanças|Ekonomi, affärer, finans|经济、商业和金融
05000000|education|education|education|تربية|uddannelse|Erziehung, Ausbildung|Educación|Éducation|utdanning|utdanning|educação|educação|Utbildning|教育
06000000|environment|environment|environment|بيئة|miljø og natur|Umwelt|Medio ambiente|Environnement|natur og miljø|natur og miljø|ambiente|ambiente|Miljö och natur|环境
07000000|health|health|health|صحة|sundhed|Medizin, Gesundheit|Salud|Santé|helse og medisin|helse og medisin|saúde|saúde|Medicin och hälsa|卫生
08000000|human-interest|human interest|human interest|قضية انسانية|folk og fæ|Vermischtes|Interés humano, animales, insólito|Gens animaux insolite|folk og fe|folk og fe|interesse humano|interesse humano|Mänskligt|人性
09000000|labour|labour|labor|عمل|arbejde|Arbeit, Soziales|Mano de obra|Social|arbeidsliv|arbeidsliv|trabalho|trabalho|Arbete|劳动
10000000|lifestyle|lifestyle and leisure|lifestyle and leisure|حياة يومية وترفيه|livsstil og fritid|Freizeit, Modernes Leben|Estilo de vida y tiempo libre|Vie quotidienne et loisirs|livsstil og fritid|livsstil og fritid|estilo de vida e lazer|estilo de vida e lazer|Fritid och livsstil|生活方式和休闲
11000000|politics|politics and government|politics and government|سياسة|politik|Politik|Política|Politique|politikk|politikk|política|política|Politik och statsskick|政治
12000000|religion|religion|religion|ديانة ومعتقدات|religion og tro|Religion, Weltanschauung|Religión y culto|Religion et croyance|religion og livssyn|religion og livssyn|religião e crença|religião e crença|Religion|宗教和信仰
13000000|science|science and technology|science and technology|علوم وتكنولوجيا|videnskab og teknologi|Wissenschaft, Technik, Forschung|Ciencia y tecnología|Science et technologie|vitenskap og teknologi|vitskap og teknologi|ciência e tecnologia|ciência e tecnologia|Teknik och vetenskap|科学技术
14000000|society|society|society|قضايا اجتماعية|samfund|Gesellschaft, Bevölkerung|Sociedad|Société|samfunn|samfunn|sociedade|sociedade|Samhälle|社会
15000000|sport|sport|sport|رياضة|sport|Sport|Deporte|Sport|sport|sport|esporte|desporto|Sport|体育
16000000|conflict|conflict, war and peace|conflict, war and peace|نزاعات، حرب وسلام|konflikt, krig og fred|Krise, Krieg, Konflikte|Conflicto, guerra y paz|Conflit, guerre et paix|konflikt, krig og fred|konflikt, krig og fred|conflito, guerra e paz|conflito, guerra e paz|Krig, konflikter och oroligheter|冲突、战争与和平
17000000|weather|weather|weather|طقس|vejr|Wetter|Meteorología|Météo|vær|vêr|meteorologia|meteorologia|Väder|天气
"""  # noqa: E501 - a table: one topic a line


def _labels(cells: list[str]) -> Mapping[str, str]:
    return MappingProxyType(dict(zip(LANGUAGES, cells, strict=True)))


_CELLS = [row.split("|") for row in _ROWS.strip().splitlines()]
ROOT_PATHS: Mapping[str, str] = MappingProxyType({code: path for code, path, *_ in _CELLS})
"""Topic path of each root by its eight digits."""
ROOT_LABELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {code: _labels(labels) for code, _, *labels in _CELLS}
)
"""Labels of each root by language."""
